"""Uses a client that openapi-python-client has generated. The argument is the server's URL."""

import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from uuid import UUID

from generated import AuthenticatedClient, Client
from generated.api.audit import get_exchange, list_exchanges
from generated.api.channels import (
    consume,
    delete_channel,
    get_receipt,
    get_state,
    list_channels,
    list_namespaces,
    look,
    produce,
    produce_put,
)
from generated.types import File

client = Client(base_url=sys.argv[1], raise_on_unexpected_status=True, timeout=30)
audit = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], raise_on_unexpected_status=True)
message = bytes(range(256)) * 1000
here = ("python", "demo")


def expect(got, want):
    if got != want:
        raise AssertionError(f"got {got!r}, want {want!r}")


def refused(response, status, code):
    expect((response.status_code, response.headers["Httpipe-Error"]), (status, code))


refused(look.sync_detailed(*here, client=client), 404, "not_found")
refused(consume.sync_detailed(*here, client=client, wait="0"), 408, "timed_out")
refused(produce.sync_detailed(*here, client=client, body=File(BytesIO(message)), wait="0"), 408, "timed_out")
refused(consume.sync_detailed(*here, client=client, wait="soon"), 400, "bad_wait")
expect(list_channels.sync("python", client=client).split(":")[0], "not_found")

with ThreadPoolExecutor() as pool:
    for send in (produce, produce_put):
        sent = pool.submit(send.sync_detailed, *here, client=client, body=File(BytesIO(message)), wait="30s")
        while not sent.done() and "python" not in list_namespaces.sync(client=client):
            pass
        seen = look.sync_detailed(*here, client=client)
        expect((seen.headers["Httpipe-Producers"], seen.headers["Httpipe-Consumers"]), ("1", "0"))
        expect(list_channels.sync("python", client=client), ["demo"])
        expect(get_state.sync(client=client).additional_properties["python"], ["demo"])
        expect(consume.sync(*here, client=client).payload.read(), message)

        exchange = sent.result().headers["Httpipe-Exchange"]
        expect((sent.result().status_code, sent.result().parsed), (200, None))
        receipt = get_receipt.sync(UUID(exchange), client=client)
        expect((str(receipt.exchange), receipt.outcome, receipt.bytes_), (exchange, "delivered", len(message)))
        expect(get_exchange.sync(UUID(exchange), client=audit).ended_at, receipt.ended_at)

    waiting = pool.submit(consume.sync_detailed, *here, client=client)
    while not waiting.done() and look.sync_detailed(*here, client=client).status_code != 200:
        pass
    expect(delete_channel.sync_detailed(*here, client=client).status_code, 204)
    refused(waiting.result(), 410, "deleted")

refused(delete_channel.sync_detailed(*here, client=client), 404, "not_found")
refused(get_receipt.sync_detailed(UUID(int=0), client=client), 404, "not_found")
page = list_exchanges.sync(client=audit, namespace="python", limit=1)
page = list_exchanges.sync(client=audit, namespace="python", cursor=page.next_)
expect((len(page.exchanges), page.exchanges[0].outcome, page.next_), (1, "delivered", None))
