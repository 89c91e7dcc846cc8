/** Texts about live apps that are down. Pure; shared by the CLI and the console. */
import type { DownState, Environment } from '../../api/schemas.ts';
import { whyDown } from '../../model/down-app.ts';

/** `live, but down since 2030-01-01 12:04 UTC: The app exited with code 1. Docker has restarted it 14 times.` */
export const downLine = (down: DownState): string =>
  `live, but down since ${down.since.slice(0, 16).replace('T', ' ')} UTC: ${whyDown(down)}`;

/** What an environment serves, in two or three words. */
export function servesText({ liveDeploymentId, down }: Pick<Environment, 'liveDeploymentId' | 'down'>): string {
  if (liveDeploymentId === null) return 'nothing yet';
  return down === null ? 'live' : 'live, but down';
}
