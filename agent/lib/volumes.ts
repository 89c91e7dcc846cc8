/** What people have to know of volumes that an image asks for: Docker makes them with its container, and they go with it. */

/** @param where who asks: "Dockerfile line 4 has a VOLUME" */
export const volumeWarning = (where: string): string =>
  `${where}: each deployment begins with an empty volume, and orkestr deletes the previous one with its container. Keep lasting data in a database or an object store.`;
