"""protoc of grpcio-tools, as buf calls it; with the messages come the services."""

import sys

from grpc_tools import protoc

arguments = list(sys.argv)
for argument in sys.argv[1:]:
    if argument.startswith("--python_out="):
        arguments.append(argument.replace("--python_out=", "--grpc_python_out=", 1))
sys.exit(protoc.main(arguments))
