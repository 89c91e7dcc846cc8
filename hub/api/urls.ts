/** Addresses for people: of apps and of the console. */
import type { Domain } from '../../protocol/job.ts';

/** Where an environment's app is reached: its domains, with the scheme and port that apps are served on. */
export function appUrls(appsUrl: string, domains: readonly Domain[]): string[] {
  const { protocol, port } = new URL(appsUrl);
  return domains.map(({ host, pathPrefix }) => `${protocol}//${host}${port === '' ? '' : `:${port}`}${pathPrefix}`);
}

/** The console's page of a deployment. */
export const consoleUrl = (hubUrl: string, deploymentId: string): string => `${hubUrl}/deployments/${deploymentId}`;
