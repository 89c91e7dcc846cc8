/** Sends the visitor out: nothing that the attackers, the crowd or this process do is in its times. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Visit } from './visitor.ts';

export interface Errand {
  /** Of the proxy on 127.0.0.1. */
  readonly port: number;
  readonly host: string;
  readonly seconds: number;
}

export class VisitorProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('visitor-main.ts', import.meta.url)));

  /** One after the other. @throws when the visitor has ended */
  async visit(errand: Errand): Promise<Visit> {
    const met = once(this.#child, 'message');
    const ended = once(this.#child, 'exit').then(() => Promise.reject(new Error('the visitor has ended')));
    this.#child.send(errand);
    const [visit] = (await Promise.race([met, ended])) as [Visit];
    return visit;
  }

  close(): void {
    this.#child.kill();
  }
}
