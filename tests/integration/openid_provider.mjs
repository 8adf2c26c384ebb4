// A real OpenID Connect provider on loopback for tests: people are whoever they say they are, in one form.
// Run as: node openid_provider.mjs SETTINGS.json; prints its address once it listens.
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { Provider } from 'oidc-provider'

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const server = createServer()
await new Promise((done) => server.listen(settings.port ?? 0, '127.0.0.1', done))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      redirect_uris: [settings.redirect_uri],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: settings.algorithm ?? 'RS256'
    }
  ],
  jwks: settings.jwks,
  claims: { openid: ['sub', 'groups'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  cookies: { keys: ['only for tests'] },
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({ sub: id, groups: settings.groups[id] ?? [] })
  })
})

const page = (uid) => `<!doctype html><html lang="en"><title>Provider</title>
<form method="post" action="/interaction/${uid}"><label>Login <input name="login"></label><button>Continue</button></form>`

async function interact(request, response, uid) {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html')
    return response.end(page(uid))
  }
  let body = ''
  for await (const chunk of request) body += chunk
  const accountId = new URLSearchParams(body).get('login')
  const { params } = await provider.interactionDetails(request, response)
  const grant = new provider.Grant({ accountId, clientId: params.client_id })
  grant.addOIDCScope(params.scope)
  const consent = { grantId: await grant.save() }
  return provider.interactionFinished(request, response, { login: { accountId }, consent })
}

const answer = provider.callback()
server.on('request', (request, response) => {
  const [, folder, uid] = new URL(request.url, issuer).pathname.split('/')
  if (folder === 'interaction' && uid) {
    interact(request, response, uid).catch((error) => { response.statusCode = 500; response.end(String(error)) })
  } else answer(request, response)
})
console.log(issuer)
