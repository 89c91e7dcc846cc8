/** Visitors that send requests continuously, each on a new connection, and the results. */
import { request } from 'node:http';

interface Load {
  /** Complete responses, by their text. */
  readonly answers: Map<string, number>;
  /** Everything that was not a complete 200 response. */
  readonly faults: string[];
  /** Resolves after that many more responses. */
  more(count: number): Promise<void>;
  stop(): Promise<void>;
}

export function startLoad(port: number, visitors = 6): Load {
  const answers = new Map<string, number>();
  const faults: string[] = [];
  const state = { on: true, total: 0 };
  const visit = async (): Promise<void> => {
    while (state.on) {
      try {
        const text = await ask(port);
        answers.set(text, (answers.get(text) ?? 0) + 1);
        state.total += 1;
      } catch (error) {
        // Counted; the test decides how many are allowed.
        faults.push(String(error));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const running = Array.from({ length: visitors }, visit);
  return {
    answers,
    faults,
    more: async (count) => {
      for (const enough = state.total + count; state.total < enough && state.on;) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    stop: async () => {
      state.on = false;
      await Promise.all(running);
    },
  };
}

/** Sends one request on a new connection. Resolves with the response's text if it is whole and 200. */
export function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { host: 'app.test', connection: 'close' };
    const req = request({ host: '127.0.0.1', port, agent: false, headers, timeout: 30_000 }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => (text += part));
      res.on('end', () => {
        if (res.statusCode === 200) resolve(text);
        else reject(new Error(`${res.statusCode} ${text.slice(0, 80)}`));
      });
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Error('no answer')));
    req.on('error', reject);
    req.end();
  });
}
