/** How Docker Engine stores images. */
import { defineCheck, when } from '../check.ts';

/** overlayfs is the name in the containerd image store. */
const GOOD = ['overlay2', 'overlayfs', 'fuse-overlayfs', 'btrfs', 'zfs'];

export const storage = defineCheck({
  name: 'storage',
  about: 'Docker Engine shares the layers of images instead of copying them.',
  problems: {
    'slow-driver': {
      level: 'warn',
      says: 'Docker Engine keeps images with {driver}, which is slow or copies each layer in full.',
      mend: 'Move {root} to ext4 or xfs, put `"storage-driver": "overlay2"` into /etc/docker/daemon.json, then run `systemctl restart docker`. The next deployments build their images again.',
    },
    'no-file-types': {
      level: 'fail',
      says: 'The file system below {root} does not report the type of folder entries (d_type): images on it break.',
      mend: 'Recreate it with `mkfs.xfs -n ftype=1` or as ext4, and move {root} there.',
    },
  },
  gather: ({ engine }) => engine.info(),
  judge({ Driver: driver, DriverStatus, DockerRootDir: root }) {
    const untyped = (DriverStatus ?? []).some(([name, value]) => name === 'Supports d_type' && value === 'false');
    return {
      summary: `${driver} at ${root}`,
      findings: [
        ...when(!GOOD.includes(driver), { problem: 'slow-driver', values: { driver, root } }),
        ...when(untyped, { problem: 'no-file-types', values: { root } }),
      ],
    };
  },
});
