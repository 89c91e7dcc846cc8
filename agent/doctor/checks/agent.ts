/** The agent's own process, and its identity. */
import { OrkestrError } from '../../../protocol/errors.ts';
import { defineCheck, when } from '../check.ts';
import type { Subject } from '../subject.ts';

const JOIN_AGAIN =
  'run `orkestr hosts join-token NAME` with the name of this host, then here `orkestr-agent join --hub URL --token -`: the host keeps its id, and its apps keep running';

export const agent = defineCheck({
  name: 'agent',
  about:
    'The agent of this state folder runs and answers. Without it, nothing is deployed or repaired automatically; apps keep running.',
  problems: {
    absent: {
      level: 'fail',
      says: 'The agent is not running (nothing listens on {socket}).',
      mend: 'Run `systemctl start orkestr-agent`. If it stops again, `journalctl -u orkestr-agent -n 50 --no-pager` shows why.',
    },
    silent: {
      level: 'fail',
      says: 'The agent runs but does not answer on {socket}.',
      mend: 'Run `systemctl restart orkestr-agent`: it resumes what it was doing.',
    },
    identity: {
      level: 'fail',
      says: 'The state folder {folder} has no identity: the agent cannot start.',
      mend: `Join a hub: \`orkestr-agent join --hub https://hub.example.com --token -\`. If this host had already joined one, restore identity.json and host-key.pem from a backup, or ${JOIN_AGAIN}.`,
    },
    'identity-damaged': {
      level: 'fail',
      says: 'The identity of this host in {folder} is damaged: the agent cannot start, and other checks cannot tell which resources belong to this host.',
      mend: `Restore identity.json from a backup. Without a backup, ${JOIN_AGAIN}. Then run \`systemctl restart orkestr-agent\`.`,
    },
  },
  async gather(subject) {
    const { agentSocket, stateFolder } = subject.config;
    return { view: await subject.agent(), socket: agentSocket, folder: stateFolder, identity: identityOf(subject) };
  },
  judge({ view, socket, folder, identity }) {
    // Also while it runs, because it would not start again.
    const unnamed = [
      ...when(identity === 'none', { problem: 'identity', values: { folder } }),
      ...when(identity === 'damaged', { problem: 'identity-damaged', values: { folder } }),
    ];
    if (typeof view === 'object')
      return { summary: `${view.version}, process ${view.pid}, up since ${view.since}`, findings: unnamed };
    return {
      summary: view === 'absent' ? 'does not run' : 'does not answer',
      findings: [...unnamed, { problem: view, values: { socket } }],
    };
  },
});

function identityOf({ identity }: Subject): 'there' | 'none' | 'damaged' {
  try {
    return identity() === null ? 'none' : 'there';
  } catch (error) {
    if (error instanceof OrkestrError) return 'damaged';
    throw error;
  }
}
