// A foreign client library runs every flow. Told on the command line: issuer, client id, secret, redirect address.
// Writes the authorization address as its first line, reads where the browser was sent to, and writes what it found as JSON.
import * as oidc from 'openid-client'
import { createInterface } from 'node:readline'

const [issuer, id, secret, redirect] = process.argv.slice(2)
const config = await oidc.discovery(new URL(issuer), id, secret, undefined, { execute: [oidc.allowInsecureRequests] })
const verifier = oidc.randomPKCECodeVerifier(), state = oidc.randomState(), nonce = oidc.randomNonce()
console.log(oidc.buildAuthorizationUrl(config, {
  redirect_uri: redirect, scope: 'openid profile email users:read', state, nonce, max_age: '600',
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
}).href)
const lines = createInterface({ input: process.stdin })
const back = await new Promise((resolve) => lines.once('line', resolve))
lines.close()
// Checks iss (RFC 9207), state, nonce, at_hash, the signature, and that auth_time is within max_age.
const tokens = await oidc.authorizationCodeGrant(config, new URL(back), {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, maxAge: 600, idTokenExpected: true,
})
const claims = tokens.claims()
const info = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
const again = await oidc.refreshTokenGrant(config, tokens.refresh_token)
const about = await oidc.tokenIntrospection(config, again.access_token)
await oidc.tokenRevocation(config, again.refresh_token)
const after = await oidc.tokenIntrospection(config, again.access_token)
const own = await oidc.clientCredentialsGrant(config, { scope: 'users:read' })
console.log(JSON.stringify({ claims, info, about, after, own: own.scope }))
