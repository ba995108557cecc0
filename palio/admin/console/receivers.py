"""Receivers of webhooks to copy: each verifies a message with nothing but its language's own library."""

PYTHON = '''import base64, hashlib, hmac, time

def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Was the message signed with our secret, less than five minutes ago?"""
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, one) for one in headers["webhook-signature"].split(" "))
'''
TYPESCRIPT = """import { createHmac, timingSafeEqual } from "node:crypto";

export function isGenuine(secret: string, headers: Record<string, string>, body: string): boolean {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": given } = headers;
  if (Math.abs(Date.now() / 1000 - Number(at)) > 300) return false;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const wanted = Buffer.from("v1," + createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64"));
  return given.split(" ").some((one) => {
    const other = Buffer.from(one);
    return other.length === wanted.length && timingSafeEqual(other, wanted);
  });
}
"""
SHELL = """#!/bin/sh
# usage: verify SECRET ID TIMESTAMP SIGNATURE < body
key=$(printf %s "${1#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \\n')
sign() { openssl dgst -sha256 -mac HMAC -macopt hexkey:"$1" -binary | base64; }
wanted="v1,$({ printf '%s.%s.' "$2" "$3"; cat; } | sign "$key")"
for one in $4; do [ "$one" = "$wanted" ] && exit 0; done
exit 1
"""
RECEIVERS = (("Python", PYTHON), ("TypeScript", TYPESCRIPT), ("Shell", SHELL))
