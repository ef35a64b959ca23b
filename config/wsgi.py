"""What the web server serves."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A thread that writes the request log must not keep a request waiting for Python's usual five milliseconds.
sys.setswitchinterval(0.001)
application = get_wsgi_application()
