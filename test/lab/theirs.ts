/** What somebody else has on a host: nothing that orkestr does may touch it. */
import { z } from 'zod';
import type { LabHost } from './host.ts';

/**
 * A setting of the engine; an image, a network, a volume and a container that runs; rules of the firewall, which a unit
 * sets at each boot.
 */
const THEIRS = `
printf '{\\n  "max-concurrent-downloads": 2\\n}\\n' >/etc/docker/daemon.json
systemctl restart docker.service
api() { curl -fsS --unix-socket /run/docker.sock -X POST "http://localhost/$1" --header "content-type: application/$2" \\
  --data-binary @-; }
tar --create --dereference --absolute-names /usr/bin/sleep /usr/bin/dash $(ldd /usr/bin/sleep | grep -o '/[^ ]*') |
  api 'images/create?fromSrc=-&repo=theirs' x-tar
echo '{ "Name": "theirs" }' | api networks/create json
echo '{ "Name": "theirs" }' | api volumes/create json
api 'containers/create?name=theirs' json <<'END'
{ "Image": "theirs", "Cmd": ["/usr/bin/dash", "-c", "trap exit TERM; /usr/bin/sleep infinity & wait"], "HostConfig":
  { "NetworkMode": "theirs", "Binds": ["theirs:/data"], "RestartPolicy": { "Name": "always" } } }
END
api containers/theirs/start json </dev/null
cat >/usr/local/sbin/their-rules <<'END'
#!/bin/sh
for program in iptables ip6tables; do
  $program -N THEIRS && $program -A THEIRS -p tcp --dport 25 -j DROP && $program -I OUTPUT -j THEIRS || exit
done
END
chmod 755 /usr/local/sbin/their-rules
cat >/etc/systemd/system/their-rules.service <<'END'
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/their-rules
RemainAfterExit=yes
[Install]
WantedBy=multi-user.target
END
systemctl enable --quiet --now their-rules.service`;

/** Needs Docker Engine on the host. Restarts it. */
export const addTheirs = (host: LabHost): Promise<string> => host.must(['sh', '-ec', THEIRS]);

const Container = z.object({ State: z.object({ Running: z.literal(true), StartedAt: z.string() }) });

/** When their container was started the last time. @throws Error if it does not run */
export async function startOfTheirs(host: LabHost): Promise<string> {
  const url = 'http://localhost/containers/theirs/json';
  const said = await host.must(['curl', '-fsS', '--unix-socket', '/run/docker.sock', url]);
  return Container.parse(JSON.parse(said)).State.StartedAt;
}
