// Answers the questions on standard input with the reference library: a signature, or "" for what it takes, or why not.
const { readFileSync } = require("node:fs");
const { Webhook } = require("standardwebhooks");

function answer({ kind, secret, headers, body }) {
  const payload = Buffer.from(body, "base64");
  try {
    const webhook = new Webhook(secret);
    if (kind === "sign") {
      return webhook.sign(headers["webhook-id"], new Date(headers["webhook-timestamp"] * 1000), payload);
    }
    webhook.verify(payload, headers, { jsonParse: false });
    return "";
  } catch (error) {
    return error.message;
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(answer)));
