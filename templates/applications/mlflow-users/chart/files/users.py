"""Makes MLflow's users, and sets the passwords of those that are there. Needs nothing but Python itself."""

import base64
import json
import os
import time
import urllib.error
import urllib.request

SERVER = os.environ["MLFLOW_TRACKING_URI"]
ADMIN = f"{os.environ['ADMIN_USERNAME']}:{os.environ['ADMIN_PASSWORD']}"
PATIENCE = 300  # seconds


def call(method, path, body):
    headers = {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(ADMIN.encode()).decode()}
    url = f"{SERVER}/api/2.0/mlflow/users/{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30):
        pass


def set_user(name, password):
    body = {"username": name, "password": password}
    try:
        call("POST", "create", body)
        print(f"{name}: made")
    except urllib.error.HTTPError as error:
        answer = error.read().decode(errors="replace")
        if "RESOURCE_ALREADY_EXISTS" not in answer:
            raise SystemExit(f"{name}: {error.code} {answer}")
        call("PATCH", "update-password", body)
        print(f"{name}: password set")


def wait():
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{SERVER}/health", timeout=10):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise SystemExit(f"{SERVER} does not answer: {error}")
            time.sleep(2)


wait()
for user in json.loads(os.environ["USERS"]):
    with open(os.path.join("/passwords", user), encoding="utf-8") as file:
        set_user(user, file.read().strip())
