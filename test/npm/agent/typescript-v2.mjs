// An agent with the TypeScript SDK v2 (@modelcontextprotocol/client). Its second argument is the way it
// finds the protocol's era: legacy, which is that SDK's default, or auto, which probes.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { say, serve } from './agent.mjs';

const client = new Client({ name: 'typescript-v2', version: '1' }, { versionNegotiation: { mode: process.argv[3] } });
client.setNotificationHandler('notifications/resources/updated', (n) => say({ event: 'updated', uri: n.params.uri }));
client.onerror = (e) => say({ event: 'trouble', message: String(e?.message ?? e) });

await serve(client, async () => {
  await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));
  const version = client.getNegotiatedProtocolVersion();
  client.subscribeTo = version >= '2026-07-28'
    ? async (uri) => {
        const subscription = await client.listen({ resourceSubscriptions: [uri] });
        subscription.closed.then((how) => say({ event: 'closed', message: how }));
      }
    : (uri) => client.subscribeResource({ uri });
  return { version };
});
