/** Runs the visitor separately, so that its times include no work of the attackers, the crowd or this process. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Visit } from './visitor.ts';

export interface Errand {
  /** Port of the proxy on 127.0.0.1. */
  readonly port: number;
  readonly host: string;
  readonly seconds: number;
}

export class VisitorProcess {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('visitor-main.ts', import.meta.url)));
  readonly #ended = once(this.#child, 'exit');

  /** Call it for one errand at a time. @throws when the visitor has ended */
  async visit(errand: Errand): Promise<Visit> {
    const met = once(this.#child, 'message');
    this.#child.send(errand);
    const [visit] = (await Promise.race([met, this.#ended])) as [Visit | number | null];
    if (visit === null || typeof visit === 'number') throw new Error('the visitor has ended');
    return visit;
  }

  close(): void {
    this.#child.kill();
  }
}
