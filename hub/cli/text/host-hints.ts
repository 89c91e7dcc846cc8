/** Hints about what a person must do about a host. Pure; shared by the CLI and the console. */
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';
import type { Host } from '../../api/schemas.ts';
import { downLine } from './down-line.ts';

interface HostHint {
  /** One sentence with the facts. */
  readonly says: string;
  /** The error whose fix applies, unless `says` contains it. */
  readonly mend?: ErrorCode;
}

/** From this share of the disk on, one more image may fill it. */
const DISK_FULL = 0.95;

/** The reason of a refusal is shown separately: {@link Host.refusal}. */
export function hostHints({ name, enrolled, online, refusal, status, downApps }: Host): readonly HostHint[] {
  if (!enrolled) {
    const says = `Run the join command there that was shown when the host was added. It is valid for one hour; for a new one, run \`orkestr hosts join-token ${name}\``;
    return [{ says }];
  }
  if (!online) {
    const offline: HostHint = { says: 'Its apps keep running; deployments wait for it.', mend: 'ORK_HOST_OFFLINE' };
    return refusal === null ? [offline] : [];
  }
  if (status === null) return [];
  const { engine, proxy, disk } = status;
  const full = disk.totalBytes - disk.availableBytes > disk.totalBytes * DISK_FULL;
  return [
    engine.reachable ? [] : [{ says: 'Nothing can be deployed there.', mend: 'ORK_ENGINE_UNREACHABLE' as const }],
    proxy.reachable ? [] : [{ says: 'The proxy does not answer.', mend: 'ORK_PROXY_UNREACHABLE' as const }],
    full ? [{ says: 'The disk is nearly full.', mend: 'ORK_DISK_FULL' as const }] : [],
    engine.liveRestore === false ? [{ says: 'Live restore is off: apps stop while Docker Engine restarts.' }] : [],
    downApps.map((app) => ({
      says: `${app.project}/${app.environment} is ${downLine(app)} Its log: \`orkestr logs --app --environment ${app.environment} --project ${app.project}\`.`,
      mend: app.error.code,
    })),
  ].flat();
}
