// Answers the questions on standard input with packages of providers: headers of a signed message, what a challenge
// is answered with, or "" for what a package takes, or why not. A package is loaded when it is asked.
const { readFileSync } = require("node:fs");
const { createHash } = require("node:crypto");

const VERIFY = {
  async github({ secret, headers, body }) {
    const { verify } = await import("@octokit/webhooks-methods");
    if (!(await verify(secret, body, headers["x-hub-signature-256"]))) throw new Error("refused");
  },
  async clerk({ secret, headers, body }) {
    const { verifyWebhook } = require("@clerk/backend/webhooks");
    const request = new Request("https://hooks.acme.example/", { method: "POST", headers, body });
    await verifyWebhook(request, { signingSecret: secret });
  },
  async linear({ secret, headers, body }) {
    const { LinearWebhookClient } = require("@linear/sdk/webhooks");
    const { webhookTimestamp } = JSON.parse(body);
    new LinearWebhookClient(secret).verify(Buffer.from(body), headers["linear-signature"], webhookTimestamp);
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
  async shopify({ secret, headers, body }) {
    require("@shopify/shopify-api/adapters/node");
    const { ApiVersion, shopifyApi } = require("@shopify/shopify-api");
    const api = shopifyApi({
      apiKey: "none",
      apiSecretKey: secret,
      hostName: "hooks.acme.example",
      apiVersion: ApiVersion.October25,
      isEmbeddedApp: false,
      logger: { log: () => {} },
    });
    const rawRequest = { method: "POST", url: "/", headers };
    const { valid, reason } = await api.webhooks.validate({ rawBody: body, rawRequest });
    if (!valid) throw new Error(reason);
  },
  async zoom(asked) {
    await ANSWER.zoom(asked);
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

const ANSWER = {
  async zoom({ secret, headers, body }) {
    const { AwsLambdaReceiver } = require("@zoom/rivet/marketplace");
    console.debug = () => {}; // it tells everything, on standard output
    const receiver = new AwsLambdaReceiver({ webhooksSecretToken: secret });
    receiver.init({ eventEmitter: { emit: async () => {} } });
    const { statusCode, body: text } = await receiver.start()({ headers, body, isBase64Encoded: false }, {});
    if (statusCode !== 200) throw new Error(text);
    return JSON.parse(text);
  },
};

async function answer(question) {
  const asked = { ...question, body: Buffer.from(question.body, "base64").toString() };
  try {
    if (question.kind === "sign") return await SIGN[question.provider](asked);
    if (question.kind === "answer") return await ANSWER[question.provider](asked);
    await VERIFY[question.provider](asked);
    return "";
  } catch (error) {
    return error.message || "refused";
  }
}

Promise.all(JSON.parse(readFileSync(0, "utf8")).map(answer)).then((all) => console.log(JSON.stringify(all)));
