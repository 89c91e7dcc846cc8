/** For tests of the step health: an app that is up, and the step's context. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { HealthCheck } from '../../../protocol/job.ts';
import type { Clock, ContainerRuntime, Ports } from '../ports.ts';
import { VirtualClock } from '../test-clock.ts';
import { aContext } from '../test-context.ts';
import { secondJob, IDS } from '../test-job.ts';
import { scripted } from '../test-ports.ts';
import { containerOf } from '../test-container.ts';

export const NAME = `orkestr-${IDS.deployment}`;

export const running = containerOf(IDS.deployment, { address: '127.0.0.1' });

/** A port that accepts connections, as that of an app that is up. */
export async function openPort(t: TestContext): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Scene {
  readonly port?: number;
  readonly portGuessed?: boolean;
  readonly containers: Partial<ContainerRuntime>;
  readonly check?: Parameters<typeof HealthCheck.parse>[0];
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly hasHealthcheck?: boolean;
}

/** A context for the step with this container, port and check. */
export function contextOf({
  port = 8080,
  portGuessed = true,
  containers,
  check,
  clock = new VirtualClock(),
  signal,
  hasHealthcheck = false,
}: Scene) {
  const healthCheck = HealthCheck.parse(check ?? { kind: 'command', argv: ['ready'], startSeconds: 60 });
  return aContext({
    job: secondJob({ settings: { healthCheck } }),
    ports: { clock, containers: scripted<Ports['containers']>('containers', containers) },
    outputs: {
      build: {
        id: `sha256:${'a'.repeat(64)}`,
        reference: 'r',
        bytes: 1,
        baseImages: {},
        peakMemoryBytes: null,
        exposedPorts: [],
        hasHealthcheck,
      },
      deploy: {
        containerId: 'c0ffee',
        containerName: NAME,
        address: '127.0.0.1',
        port,
        portFrom: 'default',
        portGuessed,
      },
    },
    ...(signal && { signal }),
  });
}

/** Exit codes of the probe's command, one per try; the last one repeats. */
export function exits(...codes: number[]): ContainerRuntime['exec'] {
  return async () => ({ exitCode: (codes.length > 1 ? codes.shift() : codes[0]) ?? 0, output: '' });
}
