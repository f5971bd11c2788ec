// A provider with one client, pkgd; node provider.mjs OPTIONS.json
//
// OPTIONS: port, issuer, client (id, secret, redirect), keys (a JWK set with private keys), and users, a file that is read at
// each login: {user: {groups: [...]}}. Any password is right. An issuer with https means a proxy before it.
import { readFileSync } from "node:fs";
import { Provider } from "oidc-provider";

const options = JSON.parse(readFileSync(process.argv[2], "utf-8"));
const provider = new Provider(options.issuer, {
  clients: [{
    client_id: options.client.id,
    client_secret: options.client.secret,
    redirect_uris: [options.client.redirect],
    grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
    response_types: ["code"],
    id_token_signed_response_alg: "ES256",
    ...options.client.more,
  }],
  jwks: options.keys,
  claims: { openid: ["sub"], profile: ["preferred_username", "groups"], email: ["email"] },
  features: { deviceFlow: { enabled: true } },
  cookies: { keys: ["of this suite"] },
  conformIdTokenClaims: options.conform,
  pkce: { required: () => true },
  async findAccount(context, id) {
    const users = JSON.parse(readFileSync(options.users, "utf-8"));
    if (!users[id]) return undefined;
    return {
      accountId: id,
      async claims() {
        return { sub: id, preferred_username: id, email: `${id}@example.com`, ...users[id] };
      },
    };
  },
});
provider.proxy = options.issuer.startsWith("https:");
provider.listen(options.port, "127.0.0.1");
