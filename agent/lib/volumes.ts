/**
 * A warning about volumes that an image declares: Docker creates them with the container, and they are deleted with it.
 */

/** @param where what declares it: "Dockerfile line 4 has a VOLUME" */
export const volumeWarning = (where: string): string =>
  `${where}: each deployment begins with an empty volume, and orkestr deletes the previous one with its container. Keep lasting data in a database or an object store.`;
