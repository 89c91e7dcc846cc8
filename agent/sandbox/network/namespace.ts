/** The sandbox's own network namespace, joined to the host by a veth pair, and its default route. */
import { access } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Exec, run } from '../../lib/exec.ts';
import { hostAddresses } from '../../lib/host-network.ts';
import { freeSubnet, hostEnd, innerEnd, subnetOf } from './pair-subnet.ts';

const TIMEOUT_MS = 15_000;
/** Bridge of the sandbox's engine, visible only inside its namespace. */
export const SANDBOX_BRIDGE = '198.19.255.1/24';
/**
 * For iptables-restore inside the namespace: masquerades the bridge's traffic as the namespace's own address. The
 * engine would set this along with many rules that a single bridge does not need, one program run per rule (slot/daemon.ts).
 */
const TRANSLATION = ['*nat', `-A POSTROUTING -s ${SANDBOX_BRIDGE} -o eth0 -j MASQUERADE`, 'COMMIT', ''].join('\n');

interface SandboxNamespace {
  readonly path: string;
  /** Name of the pair's end on the host. */
  readonly outside: string;
  /** Base address of the pair's subnet; null if there is no pair. */
  subnet(): Promise<string | null>;
  /** Creates namespace and pair if absent, without a default route. Returns the pair's subnet. */
  ensure(mtu: number): Promise<string>;
  /** Routes the namespace's traffic to the host's end of the pair. */
  routeOut(subnet: string): Promise<void>;
  /** Takes that route away: connection attempts fail at once instead of timing out. */
  prohibit(): Promise<void>;
  /** Does nothing if there is nothing. */
  remove(): Promise<void>;
}

export function makeSandboxNamespace(scope: string, by: Exec): SandboxNamespace {
  const namespace = `orkb-${scope}`;
  const path = `/run/netns/${namespace}`;
  const outside = `ob${scope}`;
  /** The subnet through which the default route is known to lead. */
  let openTo: string | null = null;
  const ip = (...args: string[]): Promise<unknown> => run('ip', args, { timeoutMs: TIMEOUT_MS }, by);
  /** Runs commands in one process until the first fails (ip(8), -batch). @param place options before the commands */
  const batch = (place: readonly string[], commands: readonly string[]): Promise<unknown> =>
    run('ip', [...place, '-batch', '-'], { timeoutMs: TIMEOUT_MS, input: `${commands.join('\n')}\n` }, by);
  const setDefault = (...route: string[]): Promise<unknown> => ip('-n', namespace, 'route', 'replace', ...route);

  const subnet = async (): Promise<string | null> => {
    // Called for each build: Node.js lists the interfaces that are up, without running a program.
    const known = networkInterfaces()[outside]?.find(({ family }) => family === 'IPv4')?.address;
    const address =
      known ?? (await hostAddresses(by)).find(({ name, address }) => name === outside && isIPv4(address))?.address;
    return address === undefined ? null : subnetOf(address);
  };

  const make = async (mtu: number): Promise<string> => {
    const free = await freeSubnet(scope, by);
    await ip('netns', 'add', namespace);
    await ip(...`link add ${outside} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${namespace}`.split(' '));
    await batch(['-n', namespace], ['link set lo up', `addr add ${innerEnd(free)}/30 dev eth0`, 'link set eth0 up']);
    const restore = [`--net=${path}`, '--', 'iptables-restore', '--wait', '--noflush'];
    await run('nsenter', restore, { timeoutMs: TIMEOUT_MS, input: TRANSLATION }, by);
    // The host's address comes last: a pair that has it is complete, even if the agent was killed meanwhile.
    await batch([], [`link set ${outside} up`, `addr add ${hostEnd(free)}/30 dev ${outside}`]);
    return free;
  };

  const remove = async (): Promise<void> => {
    openTo = null;
    // Deleting the namespace deletes the pair; an outer end alone is left by an incomplete setup.
    if (await exists(path)) await ip('netns', 'delete', namespace);
    if (await exists(`/sys/class/net/${outside}`))
      await by('ip', ['link', 'delete', outside], { timeoutMs: TIMEOUT_MS });
  };

  return {
    path,
    outside,
    subnet,
    async ensure(mtu) {
      const existing = (await exists(path)) ? await subnet() : null;
      if (existing !== null) return existing;
      await remove();
      return make(mtu);
    },
    async routeOut(to) {
      // Only this code changes the route, so it is set only on a change.
      if (openTo === to) return;
      await setDefault('default', 'via', hostEnd(to));
      openTo = to;
    },
    async prohibit() {
      openTo = null;
      await setDefault('prohibit', 'default');
    },
    remove,
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
