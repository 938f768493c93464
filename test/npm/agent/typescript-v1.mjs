// An agent with the TypeScript SDK v1 (@modelcontextprotocol/sdk), which speaks the legacy era only.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { say, serve } from './agent.mjs';

const client = new Client({ name: 'typescript-v1', version: '1' });
client.setNotificationHandler(ResourceUpdatedNotificationSchema, (n) => say({ event: 'updated', uri: n.params.uri }));
client.subscribeTo = (uri) => client.subscribeResource({ uri });
client.onerror = (e) => say({ event: 'trouble', message: String(e?.message ?? e) });

await serve(client, async () => {
  const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
  await client.connect(transport);
  return { version: transport.protocolVersion };
});
