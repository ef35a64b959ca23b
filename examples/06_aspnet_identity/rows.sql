-- The password of everybody is sample-password-0: by the hashers of Identity 3 (SHA-512, SHA-256) and 2 (SHA-1), with one salt for all.
INSERT INTO "AspNetRoles" ("Id", "Name", "NormalizedName", "ConcurrencyStamp")
SELECT md5(name)::uuid::text, name, upper(name), md5('stamp' || name)::uuid::text FROM unnest(ARRAY['Administrator', 'Member']) AS name;
INSERT INTO "AspNetUsers"
SELECT md5('user' || n)::uuid::text, 'user' || n, 'USER' || n, 'user' || n || '@example.org', 'USER' || n || '@EXAMPLE.ORG', n % 10 > 0,
       CASE n % 3
           WHEN 0 THEN 'AQAAAAIAAYagAAAAEMjJysvMzc7P0NHS09TV1teJe4XS9jWJJUlO43KT7BTxK0RXGYxFVV45zYURd+wwcw=='
           WHEN 1 THEN 'AQAAAAEAACcQAAAAEMjJysvMzc7P0NHS09TV1teyFsPQgbJ3yxRbzuVYpzM6mFvTvK9Y90F/phhHT9c0cg=='
           ELSE 'AMjJysvMzc7P0NHS09TV1td5jCHF6SNl0QvgxZpMfi8ppJnWKQw4A6VDnRNcLu1oFA=='
       END,
       upper(md5('security' || n)), md5('stamp' || n)::uuid::text,
       CASE WHEN n % 4 = 0 THEN '+1 555 ' || lpad(n::text, 4, '0') END, false, false,
       CASE WHEN n % 50 = 0 THEN timestamptz '2026-01-01 00:00:00+00' END, true, 0
FROM generate_series(1, 500) AS n;
INSERT INTO "AspNetUserRoles"
SELECT u."Id", r."Id" FROM "AspNetUsers" AS u JOIN "AspNetRoles" AS r ON r."Name" = 'Member' OR u."UserName" IN ('user1', 'user2');
