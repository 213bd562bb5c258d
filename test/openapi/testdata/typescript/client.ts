// Uses the types that openapi-typescript has generated. It is compiled, not run.
import type { components, operations, paths } from "./generated";

type Receipt = components["schemas"]["Receipt"];
type Answers<Operation extends keyof operations> = operations[Operation]["responses"];

const channel: keyof paths = "/channels/{namespace}/{channel}";

export async function produce(relay: string, body: Blob): Promise<Receipt> {
  const { namespace, channel: name }: operations["produce"]["parameters"]["path"] = { namespace: "typescript", channel: "demo" };
  const query: operations["produce"]["parameters"]["query"] = { wait: "30s" };
  const address = relay + channel.replace("{namespace}", namespace).replace("{channel}", name);
  const answer = await fetch(`${address}?${new URLSearchParams(query)}`, { method: "POST", body });
  const exchange: keyof Answers<"produce">[200]["headers"] = "Httpipe-Exchange";
  const receipt = await fetch(`${relay}/exchanges/${answer.headers.get(exchange)}`);
  return (await receipt.json()) as Answers<"getReceipt">[200]["content"]["application/json"];
}

export function size(receipt: Receipt): number {
  return receipt.bytes ?? 0;
}

export function follow(page: components["schemas"]["ExchangePage"]): operations["listExchanges"]["parameters"]["query"] {
  return page.next === null ? undefined : { cursor: page.next, outcome: "delivered" };
}

export const upload: NonNullable<operations["produce"]["requestBody"]>["content"]["application/octet-stream"] = "hello";
export const message: Answers<"consume">[200]["content"]["application/octet-stream"] = "hello";
export const error: Answers<"deleteChannel">[404]["content"]["text/plain"] = "not_found: …";

// What a consumer gets on a 408 has no body, and a number of bytes is not always known.
// @ts-expect-error
export const timedOut: Answers<"consume">[408]["content"] = {};
// @ts-expect-error
export const bytes: number = ({} as Receipt).bytes;
