import { CA_BUNDLE, type BaseRecipe } from '../recipe.ts';

/** A minimal Debian that trusts the machine's CAs. All other images are based on it. */
export const debian: BaseRecipe = {
  kind: 'debian',
  from: 'debootstrap',
  packages: ['ca-certificates'],
  files: {
    // Like Debian's slim images: never unpack what is not read in a container. Licences stay.
    '/etc/dpkg/dpkg.cfg.d/slim': [
      'path-exclude /usr/share/doc/*',
      'path-include /usr/share/doc/*/copyright',
      'path-exclude /usr/share/man/*',
      'path-exclude /usr/share/info/*',
      'path-exclude /usr/share/locale/*',
      'force-unsafe-io',
      '',
    ].join('\n'),
    '/etc/apt/apt.conf.d/slim': [
      'APT::Install-Recommends "false";',
      'Acquire::Languages "none";',
      'Acquire::GzipIndexes "true";',
      'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };',
      '',
    ].join('\n'),
    // Prevents packages from starting services while the image is built (policy-rc.d(8): 101 = forbidden).
    '/usr/sbin/policy-rc.d': '#!/bin/sh\nexit 101\n',
  },
  env: {
    SSL_CERT_FILE: CA_BUNDLE,
    NODE_EXTRA_CA_CERTS: CA_BUNDLE,
    PIP_CERT: CA_BUNDLE,
    REQUESTS_CA_BUNDLE: CA_BUNDLE,
    GIT_SSL_CAINFO: CA_BUNDLE,
  },
  command: ['bash'],
};
