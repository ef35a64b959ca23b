-- Whether the IAM may answer a read of a tenant now: it reads first for so long, and catch-up's word of it is no older than that.
SELECT EXISTS (
    SELECT FROM flags_tenanthome AS home, flags_caughtup AS caught_up
    WHERE home.tenant = %s AND home.home = 'legacy' AND home.reads_since < clock_timestamp() - %s * interval '1 second'
      AND home.tenant = ANY(caught_up.tenants)
      AND caught_up.at > clock_timestamp() - %s * interval '1 second'
      AND caught_up.at <= clock_timestamp())
