"""All settings, from the environment (or a .env file beside manage.py).

docs/configuration.md lists every variable. What is not set falls back to the embedded servers of
config/embedded, so that a fresh clone runs without any configuration.
"""

from pathlib import Path
from typing import Any

import environ
from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured

from config import console, embedded, logs, schedule
from config.sessions import django_database

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def _one_of(name: str, default: str, *others: str) -> str:
    chosen = env.str(name, default=default)
    if chosen not in (default, *others):
        raise ImproperlyConfigured(f"{name} is {chosen}; it must be one of {', '.join((default, *others))}.")
    return chosen


DEBUG = env.bool("DEBUG", default=False)
HTTPS = env.bool("HTTPS", default=False)
SECRET_KEY = env("SECRET_KEY", default="") or embedded.settings().secret_key
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- the three databases ------------------------------------------------------------------
LEGACY_DATABASE_URL = env("LEGACY_DATABASE_URL", default="") or embedded.database_url("sigma_permit")
IAM_DATABASE_URL = env("IAM_DATABASE_URL", default="") or embedded.database_url("sigma_iam")
REDIS_URL = env("REDIS_URL", default="") or embedded.redis_url()
DATABASE_CONNECT_SECONDS = env.int("DATABASE_CONNECT_SECONDS", default=5)

DATABASES = {
    "default": django_database(
        env("DATABASE_URL", default="") or embedded.user_url("portal"), DATABASE_CONNECT_SECONDS
    ),
    "iam": django_database(IAM_DATABASE_URL, DATABASE_CONNECT_SECONDS),
}
# Who owns the portal's tables, and migrates them; without it the role of DATABASE_URL does.
_OWNER_URL = env("DATABASE_OWNER_URL", default="") or (
    "" if env("DATABASE_URL", default="") else embedded.database_url("portal")
)
DATABASE_OWNER = django_database(_OWNER_URL, DATABASE_CONNECT_SECONDS) if _OWNER_URL else None
# A user that row-level security hides is an error, not a wrong password.
DATABASES["iam"]["OPTIONS"]["options"] += " -c row_security=off -c search_path=public"
DATABASE_ROUTERS = ["migration_portal.databases.IamRouter"]
FORMAT_MODULE_PATH = ["config.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the migration ------------------------------------------------------------------------
DEFAULT_PLAN = str(BASE_DIR / "migration_portal/plan/plans/sigma_permit.toml")
MIGRATION_PLAN = env("MIGRATION_PLAN", default=DEFAULT_PLAN)
CHUNK_SECONDS = env.float("CHUNK_SECONDS", default=1.0)
RUN_WORKERS = env.int("RUN_WORKERS", default=2)
LEGACY_MAX_TRANSACTION_SECONDS = env.int("LEGACY_MAX_TRANSACTION_SECONDS", default=900)
LEGACY_MAX_REPLICA_LAG_SECONDS = env.int("LEGACY_MAX_REPLICA_LAG_SECONDS", default=60)
LEGACY_MAX_LATENCY_SECONDS = env.float("LEGACY_MAX_LATENCY_SECONDS", default=2.0)

CAPTURE_MAX_ENTRIES = env.int("CAPTURE_MAX_ENTRIES", default=1_000_000)
CUTOVER_AT_ONCE = env.int("CUTOVER_AT_ONCE", default=4)
CUTOVER_HOLD_SECONDS = env.float("CUTOVER_HOLD_SECONDS", default=5.0)
CUTOVER_DRAIN_SECONDS = env.float("CUTOVER_DRAIN_SECONDS", default=30.0)
CUTOVER_MAX_LAG_SECONDS = env.float("CUTOVER_MAX_LAG_SECONDS", default=30.0)

# --- the legacy endpoints -----------------------------------------------------------------
LEGACY_CONTRACT = _one_of("LEGACY_CONTRACT", "documented", "observed")
LEGACY_UPSTREAM_URL = env("LEGACY_UPSTREAM_URL", default="")
LEGACY_UPSTREAM_SECONDS = env.float("LEGACY_UPSTREAM_SECONDS", default=10.0)
LEGACY_SERVED_BY = _one_of("LEGACY_SERVED_BY", "", "legacy", "iam")
# Under its name of version 0.1, too: an installation keeps its limit.
AUTH_CALLS_A_MINUTE = env.int("AUTH_CALLS_A_MINUTE", default=env.int("LEGACY_CALLS_A_MINUTE", default=5))
OTHER_CALLS_A_MINUTE = env.int("OTHER_CALLS_A_MINUTE", default=100 if LEGACY_CONTRACT == "observed" else 0)
# Without Redis nothing is counted: "reads" lets reads through and refuses sign-ins and writes, "allow" lets all through,
# "refuse" none.
THROTTLES_WITHOUT_REDIS = _one_of("THROTTLES_WITHOUT_REDIS", "reads", "allow", "refuse")
# What a tenant's policy forbids, at endpoints that can ask for a password and nothing more: legacy_compat/strictness.py.
LEGACY_POLICY = _one_of("LEGACY_POLICY", "refuse", "documented", "contract")
# Tells clients apart in the usage record; without it the first word of User-Agent does.
LEGACY_CLIENT_HEADER = env("LEGACY_CLIENT_HEADER", default="X-Client-Id")
LEGACY_SUNSET = env("LEGACY_SUNSET", default="")
LEGACY_LOG_DAYS = env.int("LEGACY_LOG_DAYS", default=30)
# The share of legacy-home reads that the IAM answers as well, to be compared.
SHADOW_SHARE = env.float("SHADOW_SHARE", default=0.0)
# The secret that the legacy system signs its tokens with: they keep working after a tenant was cut over.
LEGACY_JWT_SECRET = env("LEGACY_JWT_SECRET", default="") or SECRET_KEY

# --- the IAM --------------------------------------------------------------------------------
ISSUER = env("ISSUER", default="http://localhost:8000").rstrip("/")
# log2 of bcrypt's rounds for new passwords; a failure costs as many.
BCRYPT_COST = env.int("BCRYPT_COST", default=12)
# base64 of the 32 bytes with which the legacy system encrypts the secrets of one-time codes.
MFA_SECRET_KEY = env("MFA_SECRET_KEY", default="")
# Who is asked about passwords whose hash nobody can check: iam/at_login.py.
PASSWORD_CHECK_URL = env("PASSWORD_CHECK_URL", default="")
PASSWORD_CHECK_SECRET = env("PASSWORD_CHECK_SECRET", default="")
PASSWORD_CHECK_SECONDS = env.float("PASSWORD_CHECK_SECONDS", default=5.0)
# A Firebase project's hash parameters, as its console shows them: passwords that it exported are checked with them.
FIREBASE_SIGNER_KEY = env("FIREBASE_SIGNER_KEY", default="")
FIREBASE_SALT_SEPARATOR = env("FIREBASE_SALT_SEPARATOR", default="Bw==")

# {"google": {"client_id": …, "client_secret": …}, "acme": {"title": "Acme", "server_metadata_url": …, …}}
SOCIAL_PROVIDERS: dict[str, dict[str, str]] = env.json("SOCIAL_PROVIDERS", default={})

# --- backups ----------------------------------------------------------------------------------
# A directory or s3://bucket/prefix; and where a dump is put together before it goes there.
BACKUP_STORE = env("BACKUP_STORE", default="") or str(embedded.home() / "backups")
BACKUP_STORE_OPTIONS: dict[str, Any] = env.json("BACKUP_STORE_OPTIONS", default={})
BACKUP_WORK = env("BACKUP_WORK", default="") or str(embedded.home() / "backup-work")
# An age identity (AGE-SECRET-KEY-1…): backups are encrypted with it. Those before it still open what they sealed.
BACKUP_KEY = env("BACKUP_KEY", default="")
BACKUP_OLD_KEYS = env.list("BACKUP_OLD_KEYS", default=[])
# Directories and files that belong to a side and not to its database, as {"legacy": ["/srv/permit/files"]}.
BACKUP_PATHS: dict[str, list[str]] = env.json("BACKUP_PATHS", default={})
# Where pg_dump and pg_restore are; where level 3 is tried, if not on the side's own server.
BACKUP_TOOLS = env("BACKUP_TOOLS", default="")
BACKUP_SCRATCH_URL = env("BACKUP_SCRATCH_URL", default="")
BACKUP_JOBS = env.int("BACKUP_JOBS", default=2)
# How often a side is backed up once its first backup was made by hand (0: never), and how many are kept.
BACKUP_EVERY_HOURS = env.float("BACKUP_EVERY_HOURS", default=24.0)
BACKUP_KEEP = env.int("BACKUP_KEEP", default=7)
# A tenant is cut over only when legacy has a backup of level 3 that is no older (0: no backup is asked for).
BACKUP_FRESH_HOURS = env.float("BACKUP_FRESH_HOURS", default=48.0)
# --- monitoring -------------------------------------------------------------------------------
METRICS_DAYS = env.int("METRICS_DAYS", default=30)
# What a Prometheus server shows at /metrics; without it there is no such page.
METRICS_TOKEN = env("METRICS_TOKEN", default="")
# Where alerts go: mailto:ops@example.org, https://hooks.example.org/…; webhooks are signed with the secret.
ALERT_PLACES = env.list("ALERT_PLACES", default=[])
ALERT_SECRET = env("ALERT_SECRET", default="")
# After which hour (UTC) they get the health report of the day; -1: none.
HEALTH_REPORT_HOUR = env.int("HEALTH_REPORT_HOUR", default=7)
# Without a mail server, mail is written to files, which Notices shows.
vars().update(env.email("EMAIL_URL", default=f"filemail://{embedded.home() / 'mail'}"))
EMAIL_TIMEOUT = 30
# How many messages a second notices send, all workers together.
NOTICES_PER_SECOND = env.int("NOTICES_PER_SECOND", default=20)
# Until when legacy can still be looked at, as completion notices say it; where users reach this portal, for links; and what mail
# providers sign bounces with.
LEGACY_UNTIL = env("LEGACY_UNTIL", default="")
PUBLIC_URL = env("PUBLIC_URL", default="").rstrip("/")
NOTICES_SECRET = env("NOTICES_SECRET", default="")
# How long a link is good by which somebody chooses a new password.
PASSWORD_LINK_HOURS = env.int("PASSWORD_LINK_HOURS", default=72)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env("EMAIL_FROM", default="sigma-transit@localhost")

# --- checkpoints ------------------------------------------------------------------------------
# After which hour (UTC) the daily one is taken; as whom it signs in, as name:password or name:password:tenant.
CHECKPOINT_HOUR = env.int("CHECKPOINT_HOUR", default=6)
CHECKPOINT_USER = env("CHECKPOINT_USER", default="")
# --- rolling back -----------------------------------------------------------------------------
# What the decision matrix may do by itself: in "shadow" it only says what it would, in "act" it stops ramps and reverses waves.
ROLLBACK_MODE = _one_of("ROLLBACK_MODE", "shadow", "act")
# Actions of a roll-back that wait until a person agrees; the names are those of the plans in migration_portal/rollback/plans.py.
ROLLBACK_ASKS = env.list("ROLLBACK_ASKS", default=["undo_run", "restore_backup", "swap_database"])
# What a help desk signs the complaints with that it sends to /hooks/complaints.
COMPLAINTS_SECRET = env("COMPLAINTS_SECRET", default="")
# --- approvals --------------------------------------------------------------------------------
# What a second person has to agree to, in the console. A roll-back begins at once: its steps that ask are agreed to by another
# person than the one who began it. How long a request stands.
_APPROVABLE = (
    "undo", "swap", "finalize", "guard_off", "widen_feature", "ramp_feature", "roll_back", "release_hold",
)  # fmt: skip
APPROVALS = env.list("APPROVALS", default=list(_APPROVABLE))
if unknown := set(APPROVALS) - set(_APPROVABLE):
    raise ImproperlyConfigured(f"APPROVALS names {', '.join(sorted(unknown))}; it knows {', '.join(_APPROVABLE)}.")
APPROVAL_HOURS = env.float("APPROVAL_HOURS", default=24.0)
# --- Django -------------------------------------------------------------------------------
_ROOMS = (
    "approvals", "audit", "backups", "inventory", "drafting", "schema", "runs", "sample", "operators", "catchup",
    "monitoring", "cutover", "rollback", "rehearsal", "checkpoints", "notices", "deployment", "traffic", "retention",
)  # fmt: skip
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    *(
        f"django.contrib.{app}"
        for app in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles", "humanize")
    ),
    "django_structlog",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "csp",
    "migration_portal",
    *(f"migration_portal.{room}" for room in _ROOMS),
    "waffle",
    "flags",
    "ninja",
    "iam",
    "legacy_compat",
]
MIDDLEWARE = [
    "legacy_compat.headers.middleware",
    "django.middleware.security.SecurityMiddleware",
    "flags.middleware.home_middleware",
    "legacy_compat.measured.middleware",
    "iam.maintenance.middleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "config.request_log.RequestLog",
    "migration_portal.audit.middleware.actor_middleware",
    "migration_portal.operators.doors.doors",
    "migration_portal.operators.zone.zone_middleware",
    "config.bad_input.BadInput",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "UserAttributeSimilarityValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
DATETIME_FORMAT = "Y-m-d H:i:s"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / ".portal" / "static"
STATICFILES_DIRS = [BASE_DIR / "templates" / "static"]
WHITENOISE_USE_FINDERS = True

# --- the audit log ------------------------------------------------------------------------
# Where its head is anchored every hour: a directory or s3://bucket/prefix, out of reach of who owns the database.
AUDIT_ANCHORS = env("AUDIT_ANCHORS", default="") or str(embedded.home() / "anchors")
AUDIT_ANCHORS_OPTIONS: dict[str, Any] = env.json("AUDIT_ANCHORS_OPTIONS", default={})
AUDIT_ANCHOR_KEY = env("AUDIT_ANCHOR_KEY", default="")
# Those before it: anchors that they signed still count.
AUDIT_ANCHOR_OLD_KEYS = env.list("AUDIT_ANCHOR_OLD_KEYS", default=[])
# For how many whole months events stay in the database before they may be archived; 0: for ever.
AUDIT_RETENTION_MONTHS = env.int("AUDIT_RETENTION_MONTHS", default=0)
if not 0 <= AUDIT_RETENTION_MONTHS <= 1200:
    raise ImproperlyConfigured("AUDIT_RETENTION_MONTHS is a number of months up to 1200, or 0 for ever.")

# --- security -----------------------------------------------------------------------------
CSRF_FAILURE_VIEW = "config.faults.out_of_date"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 8 * 3600
# Operators: whether all need a second factor, how long they may be away, how long a password counts for what is dangerous.
CONSOLE_SECOND_FACTOR = env.bool("CONSOLE_SECOND_FACTOR", default=HTTPS)
CONSOLE_IDLE_MINUTES = env.int("CONSOLE_IDLE_MINUTES", default=60)
CONSOLE_CONFIRM_MINUTES = env.int("CONSOLE_CONFIRM_MINUTES", default=15)
OTP_TOTP_ISSUER = "Sigma Transit"
# unfold's Alpine evaluates expressions, and its templates hold styles; none of our pages holds a script.
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/api/"],
    "DIRECTIVES": {
        "default-src": [csp.SELF],
        "script-src": [csp.SELF, csp.UNSAFE_EVAL],
        "style-src": [csp.SELF, csp.UNSAFE_INLINE],
        "img-src": [csp.SELF, "data:"],
        "object-src": [csp.NONE],
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
    },
}
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = None
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    MIDDLEWARE.insert(0, "config.behind_proxy.client_address")
SECURE_REDIRECT_EXEMPT = [r"^health/"]
X_FRAME_OPTIONS = "DENY"

# --- feature flags: ours decide (flags/decide.py), waffle's API asks them ------------------
WAFFLE_FLAG_MODEL = "flags.Flag"
WAFFLE_CREATE_MISSING_FLAGS = False
WAFFLE_ENABLE_ADMIN_PAGES = False  # switches and samples decide nothing here, and what is done to them is on no record

# --- Celery -------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CONCURRENCY = RUN_WORKERS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Kombu's own redelivery is too slow to matter (the tick is what we rely on), but costs nothing to tighten.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    "unacked_restore_interval": 2,
    "unacked_restore_throttle": 1,
}
CELERY_TASK_ROUTES, CELERY_BEAT_SCHEDULE = schedule.ROUTES, schedule.BEAT
MESSAGE_SECONDS = schedule.MESSAGE_SECONDS
CELERY_BEAT_SCHEDULE_FILENAME = str(embedded.home() / "beat-schedule")

# --- logging ------------------------------------------------------------------------------
LOGGING = logs.configured(level=env("LOG_LEVEL", default="INFO"))
COMMAND_LOG = env("COMMAND_LOG", default=str(embedded.home() / "portal.log"))
"""Where `manage.py portal` logs: its terminal is for the answers."""

UNFOLD = console.UNFOLD
