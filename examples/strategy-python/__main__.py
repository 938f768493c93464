"""What makes a plugin of decide.py: the handshake, mutual TLS, health and the wire. It decides nothing."""

import base64
import collections
import concurrent.futures
import datetime
import os
import sys

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import decide
import health_pb2
import health_pb2_grpc
import strategy_pb2
import strategy_pb2_grpc

COOKIE = ("QUORATE_PLUGIN", "6b1d6f0a-9a5e-4a0e-8a2f-quorum")

Gateway = collections.namedtuple("Gateway", "name region votes weight join_index")


class Strategy(strategy_pb2_grpc.SplitBrainServicer):
    def Decide(self, request, context):
        roster = [
            Gateway(g.name, g.region, g.role in (strategy_pb2.ROLE_VOTER, strategy_pb2.ROLE_WITNESS), g.weight, g.join_index)
            for g in request.roster
        ]
        try:
            need, members = decide.decide(roster, request.declared_voters, dict(request.options))
        except decide.Refused as reason:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(reason))
        rule = strategy_pb2.Rule(need=need, members=[strategy_pb2.Member(weight=w, voter=v) for w, v in members])
        return strategy_pb2.DecideResponse(rule=rule)


class Health(health_pb2_grpc.HealthServicer):
    def Check(self, request, context):
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def certificate():
    """A key and a certificate for this process's life; the gateway learns the certificate from the handshake."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.utcnow()
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret, cert


def main():
    if os.environ.get(COOKIE[0]) != COOKIE[1]:
        sys.exit("This is a plugin: a gateway starts it. See quorate strategy check --help.")
    if "1" not in os.environ["PLUGIN_PROTOCOL_VERSIONS"].split(","):
        sys.exit("The gateway does not speak protocol version 1.")
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    strategy_pb2_grpc.add_SplitBrainServicer_to_server(Strategy(), server)
    health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
    secret, cert = certificate()
    credentials = grpc.ssl_server_credentials(
        [(secret, cert.public_bytes(serialization.Encoding.PEM))],
        root_certificates=os.environ["PLUGIN_CLIENT_CERT"].encode(),
        require_client_auth=True,
    )
    path = os.path.join(os.environ["PLUGIN_UNIX_SOCKET_DIR"], "plugin")
    server.add_secure_port("unix:" + path, credentials)
    server.start()
    der = base64.b64encode(cert.public_bytes(serialization.Encoding.DER)).decode().rstrip("=")
    print(f"1|1|unix|{path}|grpc|{der}", flush=True)
    server.wait_for_termination()


main()
