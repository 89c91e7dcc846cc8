/**
 * Labels a lab's containers and networks with the process that owns them, so that those of a killed one can be found.
 */
import { identify, isAlive, ProcessIdentity } from '../../installer/stack/process-identity.ts';
import { mustRun } from '../../installer/stack/run-program.ts';

const LABEL = 'orkestr.lab';

/** For `docker run` and `docker network create`. */
export const ownerLabel = (): readonly string[] => [`--label=${LABEL}=${JSON.stringify(identify(process.pid))}`];

export async function removeOrphans(): Promise<void> {
  const kinds = [
    { list: ['ps', '--all'], remove: ['rm', '--force', '--volumes'] },
    { list: ['network', 'ls'], remove: ['network', 'rm'] },
  ];
  for (const { list, remove } of kinds) {
    const format = `{{.ID}} {{.Label "${LABEL}"}}`;
    const found = await mustRun('docker', ['docker', ...list, `--filter=label=${LABEL}`, '--format', format]);
    for (const line of found.split('\n').filter(Boolean)) {
      const [id = '', owner = ''] = line.split(/ (.*)/);
      if (!isAlive(ProcessIdentity.parse(JSON.parse(owner)))) await mustRun('docker', ['docker', ...remove, id]);
    }
  }
}
