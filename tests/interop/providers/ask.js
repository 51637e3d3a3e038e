// Answers the questions on standard input with packages of providers: headers of a signed message, or "" for what a
// package takes, or why not. A package is loaded when it is asked.
const { readFileSync } = require("node:fs");
const { createHash } = require("node:crypto");

const VERIFY = {
  async github({ secret, headers, body }) {
    const { verify } = await import("@octokit/webhooks-methods");
    if (!(await verify(secret, body, headers["x-hub-signature-256"]))) throw new Error("refused");
  },
  async livekit({ secret, headers, body, key }) {
    const { WebhookReceiver } = require("livekit-server-sdk");
    await new WebhookReceiver(key, secret).receive(body, headers.authorization);
  },
  async mux({ secret, headers, body }) {
    const Mux = require("@mux/mux-node");
    await new Mux({ tokenId: "a", tokenSecret: "b" }).webhooks.verifySignature(body, headers, secret);
  },
  async notion({ secret, headers, body }) {
    const { verifyWebhookSignature } = require("@notionhq/client");
    const signature = headers["x-notion-signature"];
    if (!(await verifyWebhookSignature({ body, signature, verificationToken: secret }))) throw new Error("refused");
  },
  async sanity({ secret, headers, body }) {
    const { assertValidRequest } = require("@sanity/webhook");
    await assertValidRequest({ headers, body }, secret);
  },
  async workos({ secret, headers, body }) {
    const { WorkOS } = require("@workos-inc/node");
    const webhooks = new WorkOS("sk_test").webhooks;
    await webhooks.verifyHeader({ payload: JSON.parse(body), sigHeader: headers["workos-signature"], secret });
  },
};

const SIGN = {
  async github({ secret, body }) {
    const { sign } = await import("@octokit/webhooks-methods");
    return { "x-hub-signature-256": await sign(secret, body) };
  },
  async livekit({ secret, body, key }) {
    const { AccessToken } = require("livekit-server-sdk");
    const token = new AccessToken(key, secret);
    token.sha256 = createHash("sha256").update(body).digest("base64");
    return { authorization: await token.toJwt() };
  },
  async notion({ secret, body }) {
    const { signWebhookPayload } = require("@notionhq/client");
    return { "x-notion-signature": await signWebhookPayload({ body, verificationToken: secret }) };
  },
  async sanity({ secret, body, at }) {
    const { encodeSignatureHeader } = require("@sanity/webhook");
    return { "sanity-webhook-signature": await encodeSignatureHeader(body, at, secret) };
  },
};

async function answer(question) {
  const asked = { ...question, body: Buffer.from(question.body, "base64").toString() };
  try {
    if (question.kind === "sign") return await SIGN[question.provider](asked);
    await VERIFY[question.provider](asked);
    return "";
  } catch (error) {
    return error.message || "refused";
  }
}

Promise.all(JSON.parse(readFileSync(0, "utf8")).map(answer)).then((all) => console.log(JSON.stringify(all)));
