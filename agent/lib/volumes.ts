/**
 * A warning about volumes that an image declares: Docker creates them with the container, and they are deleted with it.
 */

/** @param where what declares it: "Dockerfile line 4 has a VOLUME" */
export const volumeWarning = (where: string): string =>
  `${where}: each deployment begins with an empty one, and the last one's is deleted with its container. What is to stay belongs in a database or an object store.`;
