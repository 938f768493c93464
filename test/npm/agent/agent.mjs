// The part that the agents share: commands as JSON lines on standard input, answers and events as JSON
// lines on standard output. An agent exits when its standard input ends.
import { createInterface } from 'node:readline';

export const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');

// failure is what a program sees of an error: its code if it has one, and its message.
const failure = (e) => ({ name: e?.constructor?.name ?? 'Error', code: typeof e?.code === 'number' ? e.code : 0, message: String(e?.message ?? e) });

const text = (result) => (result.content ?? []).map((c) => c.text ?? '').join('');

// serve connects and then obeys commands, one after the other finished in any order.
export async function serve(client, connect) {
  try {
    say({ event: 'connected', ...(await connect()) });
  } catch (e) {
    say({ event: 'refused', error: failure(e) });
    process.exit(1);
  }
  const commands = {
    call: async (c) => {
      const result = await client.callTool({ name: c.tool, arguments: c.args ?? {} });
      return { text: text(result), isError: result.isError === true };
    },
    session: async () => ({ session: client.transport.sessionId ?? '' }),
    subscribe: async (c) => {
      await c.subscribe(c.uri);
      return {};
    },
  };
  const lines = createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const c = JSON.parse(line);
    try {
      say({ id: c.id, ...(await commands[c.do]({ ...c, subscribe: client.subscribeTo })) });
    } catch (e) {
      say({ id: c.id, error: failure(e) });
    }
  });
  lines.on('close', () => process.exit(0));
}
