/** The agent's own process. */
import { defineCheck, when } from '../check.ts';
import type { Subject } from '../subject.ts';

export const agent = defineCheck({
  name: 'agent',
  about:
    'The agent of this state folder runs and answers. Without it nothing is deployed or mended by itself; apps run on.',
  problems: {
    absent: {
      level: 'fail',
      says: 'The agent does not run (nobody listens on {socket}).',
      mend: '`systemctl start orkestr-agent`; when it ends again, `journalctl -u orkestr-agent -n 50 --no-pager` says why.',
    },
    silent: {
      level: 'fail',
      says: 'The agent runs but does not answer on {socket}.',
      mend: '`systemctl restart orkestr-agent`: what it was doing is gone on with.',
    },
    identity: {
      level: 'fail',
      says: 'The state folder {folder} has no readable identity: the agent cannot start.',
      mend: 'Join a hub: `orkestr-agent join --hub https://hub.example.com --token -`; or restore identity.json and host-key.pem from a backup.',
    },
  },
  async gather(subject) {
    const { agentSocket, stateFolder } = subject.config;
    return { view: await subject.agent(), socket: agentSocket, folder: stateFolder, named: hasIdentity(subject) };
  },
  judge({ view, socket, folder, named }) {
    if (typeof view === 'object')
      return { summary: `${view.version}, process ${view.pid}, up since ${view.since}`, findings: [] };
    const findings = [
      ...when(!named, { problem: 'identity', values: { folder } }),
      { problem: view, values: { socket } },
    ];
    return { summary: view === 'absent' ? 'does not run' : 'does not answer', findings };
  },
});

function hasIdentity({ identity }: Subject): boolean {
  try {
    return identity() !== null;
  } catch {
    return false; // a file that is there and not readable is as good as none
  }
}
