FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
# pg_dump and pg_restore of the oldest major that your servers run: the wheel's speak no TLS.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client && rm -rf /var/lib/apt/lists/*
# The embedded servers are not used here: PORTAL_HOME only has to be writable.
RUN useradd --create-home portal && install -d -o portal /anchors /backups
ENV PORTAL_HOME=/home/portal/.portal PYTHONUNBUFFERED=1
USER portal
EXPOSE 8000
