/** Which registry an image belongs to, and the login for it (the "familiar name" rules of distribution/reference). */
import type { RegistryLogin } from '../../protocol/job.ts';

const DOCKER_HUB = 'docker.io';
/** The host at which Docker Hub serves images. */
const DOCKER_HUB_HOST = 'registry-1.docker.io';
/** Docker Hub has several hosts: for the API, for the index, and the familiar name. */
const HUB_NAMES = /^(?:[a-z0-9-]+\.)?docker\.io$/;

/** `node:24` → docker.io, `registry.example.com/a/b` → registry.example.com, `127.0.0.1:5000/a` → 127.0.0.1:5000. */
export function registryOf(image: string): string {
  const [first = '', ...rest] = image.split('/');
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? canonical(first) : DOCKER_HUB;
}

/** Host name, and port if any, at which a registry serves images. @param registry as `registryOf` returns it */
export const hostOf = (registry: string): string => (registry === DOCKER_HUB ? DOCKER_HUB_HOST : registry);

/** The login for a registry; undefined if the project has none. */
export function findLogin(registries: readonly RegistryLogin[], host: string): RegistryLogin | undefined {
  return registries.find((login) => canonical(login.host) === canonical(host));
}

/** A login for the engine's request header X-Registry-Auth, which keeps it out of argv and off the disk. */
interface AuthConfig {
  readonly username: string;
  readonly password: string;
  readonly serveraddress: string;
}

export const authConfigOf = ({ host, username, password }: RegistryLogin): AuthConfig => ({
  username,
  password,
  serveraddress: host,
});

function canonical(host: string): string {
  const name = host.toLowerCase();
  return HUB_NAMES.test(name) ? DOCKER_HUB : name;
}
