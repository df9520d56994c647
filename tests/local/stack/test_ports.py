"""Each process of a stack gets a port of its own, and nobody takes it before the process listens."""

import gc
import socket
import struct

import pytest

from local.stack.ports import CAN_HOLD, USUAL_PORTS, Ports

IP_LOCAL_PORT_RANGE = 51  # from Linux 6.3 on


def test_ports_are_unique_and_a_port_in_use_is_replaced() -> None:
    assert len(set(Ports.choose(usual=False).numbers.values())) == len(USUAL_PORTS)
    with listening(USUAL_PORTS["tables"]) or listening(0):  # else another program uses it, which is just as good
        chosen = Ports.choose(usual=True)
    assert "tables" in chosen.moved
    assert chosen.numbers["tables"] != USUAL_PORTS["tables"]
    assert all(chosen.numbers[name] == USUAL_PORTS[name] for name in USUAL_PORTS if name not in chosen.moved)


def test_a_process_listens_on_its_port_again_and_again() -> None:
    chosen = Ports.choose(usual=False)
    for _ in range(2):
        for port in chosen.numbers.values():
            listener = listening(port)
            assert listener
            with listener, socket.create_connection(("127.0.0.1", port)):
                pass


@pytest.mark.skipif(not CAN_HOLD, reason="The system does not let two sockets bind a port.")
def test_no_outgoing_connection_takes_a_port_before_the_process_listens() -> None:
    """An outgoing connection that may use this port only: it is refused until the stack is gone."""
    chosen = Ports.choose(usual=False)
    port = chosen.numbers["host"]
    server = listening(0)
    assert server
    with server:
        with pytest.raises(OSError, match="Cannot assign"):
            connect_from(port, server)
        del chosen
        gc.collect()
        connect_from(port, server)


def connect_from(port: int, server: socket.socket) -> None:
    with socket.socket() as outgoing:
        try:
            outgoing.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port | port << 16))
        except OSError:
            pytest.skip("This kernel cannot limit the ports of a socket.")
        outgoing.connect(server.getsockname())


def listening(port: int) -> socket.socket | None:
    """A server on this port; None if it is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        return None
    listener.listen()
    return listener
