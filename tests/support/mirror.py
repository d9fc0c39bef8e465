"""A company's mirror of an index: with a password, a private certificate, or behind a proxy."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import ipaddress
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class _Mirror(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, wheels, login):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels = wheels
        self.login = login
        self.asked = []

    def handle_error(self, request, client_address):
        """A client that does not trust the certificate is no error."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        # A proxy is asked for a whole address.
        self.server.asked.append(self.path)
        path = urlsplit(self.path).path.strip("/").split("/")
        login = self.server.login
        if login and self.headers["Authorization"] != _basic(login):
            self._answer(401, b"", "text/plain")
        elif path[0] == "simple":
            found = [each.name for each in self.server.wheels.glob(f"{path[1]}-*.whl")]
            page = "".join(f'<a href="/files/{name}">{name}</a>\n' for name in found)
            self._answer(200 if found else 404, page.encode(), "text/html")
        else:
            body = (self.server.wheels / path[1]).read_bytes()
            self._answer(200, body, "application/octet-stream")

    def do_HEAD(self):
        self.do_GET()

    def _answer(self, status, body, kind):
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="mirror"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def _basic(login):
    return "Basic " + base64.b64encode(login.encode()).decode()


@contextlib.contextmanager
def mirror(wheels, *, login=None, certificate=None):
    """Serve a folder of wheels on loopback; `port` and `asked`, the paths, are the server's."""
    server = _Mirror(wheels, login)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def private_certificates(folder):
    """An authority of one's own: the files with its certificate, and with a server's."""
    folder.mkdir()
    authority = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Company")])
    root = (
        _certificate(name, name, authority.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False
        )
        .sign(authority, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    host = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mirror")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    server = (
        _certificate(host, name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(root.public_bytes(pem))
    (folder / "server.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + server.public_bytes(pem)
    )
    return folder / "authority.pem", folder / "server.pem"


def _certificate(subject, issuer, key):
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
    )
