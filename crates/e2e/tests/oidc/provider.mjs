// npm's oidc-provider on a free port, with a tampering proxy in front of it in the same process. What the proxy does is
// told by POST /test-control. The test hands over where the package is; the first line printed is the issuer.

import crypto from "node:crypto";
import http from "node:http";
import { pathToFileURL } from "node:url";

const env = process.env;
const { default: Provider } = await import(pathToFileURL(`${env.OIDC_PROVIDER}/lib/index.js`));

const makers = {
  RS256: () => crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: () => crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => crypto.generateKeyPairSync("ed25519"),
};
const keys = Object.entries(makers).map(([alg, make]) => ({ alg, kid: `${alg}-1`, ...make() }));
const jwks = { keys: keys.map((key) => ({ ...key.privateKey.export({ format: "jwk" }), alg: key.alg, kid: key.kid, use: "sig" })) };

const state = { mode: "", accounts: {}, kept: null };

const server = http.createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "signalbox",
      client_secret: env.CLIENT_SECRET,
      redirect_uris: [env.REDIRECT_URI],
      id_token_signed_response_alg: env.ALG,
      token_endpoint_auth_method: env.PROOF,
    },
  ],
  jwks,
  cookies: { keys: ["only a test"] },
  conformIdTokenClaims: env.CLAIMS_IN_USERINFO === "1",
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
  scopes: ["openid", "email", "profile", "groups"],
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_context, id) => state.accounts[id] && { accountId: id, claims: () => ({ sub: id, ...state.accounts[id] }) },
});
const honest = provider.callback();

const b64 = (value) => Buffer.from(value).toString("base64url");
const read = (part) => JSON.parse(Buffer.from(part, "base64url"));
const signer = (alg) => keys.find((key) => key.alg === alg);
const sign = (header, claims, key) => {
  const text = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(claims))}`;
  const how = { RS256: ["sha256", key], ES256: ["sha256", { key, dsaEncoding: "ieee-p1363" }], EdDSA: [null, key] };
  const [hash, with_key] = how[header.alg];
  return `${text}.${crypto.sign(hash, Buffer.from(text), with_key).toString("base64url")}`;
};

// Id tokens that are wrong in one thing, signed as well as a thief of nothing but the network could, or better.
const tamperings = {
  nonce: (claims) => (claims.nonce = "another"),
  "no nonce": (claims) => delete claims.nonce,
  iss: (claims) => (claims.iss = "https://evil.example"),
  aud: (claims) => (claims.aud = "another-client"),
  "several audiences": (claims) => (claims.aud = ["signalbox", "another-client"]),
  azp: (claims) => (claims.azp = "another-client"),
  expired: (claims) => (claims.exp = claims.iat - 100),
  old: (claims) => ((claims.iat -= 7200), (claims.exp += 7200)),
  future: (claims) => (claims.iat += 7200),
  nbf: (claims) => (claims.nbf = claims.iat + 7200),
  at_hash: (claims) => (claims.at_hash = b64("0123456789abcdef")),
  "no subject": (claims) => delete claims.sub,
};

const forge = (token, mode) => {
  const [head, body, signature] = token.split(".");
  const [header, claims] = [read(head), read(body)];
  const own = signer(header.alg);
  if (tamperings[mode]) {
    tamperings[mode](claims);
    return sign(header, claims, own.privateKey);
  }
  switch (mode) {
    case "signature": {
      const bytes = Buffer.from(signature, "base64url");
      bytes[10] ^= 1;
      return `${head}.${body}.${bytes.toString("base64url")}`;
    }
    case "no signature":
      return `${head}.${body}.`;
    case "claims": // changed after signing
      return `${head}.${b64(JSON.stringify({ ...claims, sub: "somebody" }))}.${signature}`;
    case "alg none":
      return `${b64(JSON.stringify({ alg: "none" }))}.${body}.`;
    case "alg HS256 with the public key": {
      const text = `${b64(JSON.stringify({ alg: "HS256", kid: header.kid }))}.${body}`;
      const secret = own.publicKey.export({ type: "spki", format: "pem" });
      return `${text}.${crypto.createHmac("sha256", secret).update(text).digest("base64url")}`;
    }
    case "alg HS256 with the client secret": {
      const text = `${b64(JSON.stringify({ alg: "HS256" }))}.${body}`;
      return `${text}.${crypto.createHmac("sha256", env.CLIENT_SECRET).update(text).digest("base64url")}`;
    }
    case "another algorithm's header":
      return sign({ ...header, alg: "ES256" }, claims, signer("ES256").privateKey); // kid of another key
    case "unknown key":
      return sign({ ...header, kid: "nobody's" }, claims, own.privateKey);
    case "forged key":
      return sign(header, claims, makers[header.alg]().privateKey);
    case "key in the header": {
      const { privateKey, publicKey } = makers[header.alg]();
      return sign({ ...header, jwk: publicKey.export({ format: "jwk" }) }, claims, privateKey);
    }
    case "kept": // the token of an earlier sign-in
      return state.kept;
    default:
      throw new Error(`no tampering ${mode}`);
  }
};

/// Runs the provider and hands its answer's body to `change` before it leaves.
const changed = (request, response, change) => {
  const end = response.end.bind(response);
  response.end = (body, ...rest) => {
    try {
      const text = JSON.stringify(change(JSON.parse(body)));
      response.setHeader("content-length", Buffer.byteLength(text));
      return end(text, ...rest);
    } catch (error) {
      process.stderr.write(`${error.stack}\n`);
      return end(body, ...rest);
    }
  };
  honest(request, response);
};

const answer = (response, status, value) => {
  const text = JSON.stringify(value);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
};

server.on("request", async (request, response) => {
  const { pathname } = new URL(request.url, issuer);
  const { mode } = state;
  if (pathname === "/test-control") {
    let text = "";
    for await (const part of request) text += part;
    Object.assign(state, JSON.parse(text));
    return answer(response, 200, { kept: state.kept });
  }
  if (pathname === "/token") {
    return changed(request, response, (body) => {
      if (!body.id_token) return body;
      if (mode === "no id token") return { ...body, id_token: undefined };
      if (mode === "another token type") return { ...body, token_type: "mac" };
      const idToken = mode ? forge(body.id_token, mode) : body.id_token;
      if (!mode) state.kept = body.id_token;
      return { ...body, id_token: idToken };
    });
  }
  if (pathname === "/me" && mode === "user information of another") {
    return changed(request, response, (body) => ({ ...body, sub: "somebody" }));
  }
  if (pathname === "/.well-known/openid-configuration") {
    if (mode === "discovery hangs") return;
    if (mode === "discovery is huge") {
      response.writeHead(200, { "content-type": "application/json" });
      const more = () => {
        while (response.write(" ".repeat(65536)));
      };
      response.on("drain", more);
      return more();
    }
    const changes = {
      "discovery names another issuer": { issuer: "https://evil.example" },
      "discovery leads to plain http": { token_endpoint: "http://evil.example/token" },
      "discovery without PKCE": { code_challenge_methods_supported: ["plain"] },
    };
    return changed(request, response, (body) => ({ ...body, ...changes[mode] }));
  }
  honest(request, response);
});

process.stdout.write(`${issuer}\n`);
