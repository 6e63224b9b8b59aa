"""Sends the calls of a boto3 or botocore client through Breakwater."""

from urllib.parse import urlsplit


def through_breakwater(client, base):
    """`base` is the upstream's mount, such as http://127.0.0.1:8080/dynamodb.

    The client signs for the host of AWS, because no endpoint_url is set. The event before-send
    comes after the signature, and before the connection: only the target of the connection changes.
    """

    def redirect(request, **_):
        signed = urlsplit(request.url)
        query = f"?{signed.query}" if signed.query else ""
        request.url = f"{base.rstrip('/')}{signed.path or '/'}{query}"
        # None lets botocore send the request.

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-send.{service}", redirect)
