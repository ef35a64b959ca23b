FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
# The embedded servers are not used here: PORTAL_HOME only has to be writable.
RUN useradd --create-home portal && install -d -o portal /anchors
ENV PORTAL_HOME=/home/portal/.portal PYTHONUNBUFFERED=1
USER portal
EXPOSE 8000
