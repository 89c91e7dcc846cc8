/** What people have to know of volumes that an image asks for: Docker makes them with its container, and they go with it. */

/** @param where who asks: "Dockerfile line 4 has a VOLUME" */
export const volumeWarning = (where: string): string =>
  `${where}: each deployment begins with an empty one, and the last one's is deleted with its container. What is to stay belongs in a database or an object store.`;
