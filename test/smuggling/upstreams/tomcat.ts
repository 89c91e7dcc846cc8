/** Tomcat 10 with its default servlet; its access log records the requests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

const HOME = '/usr/share/tomcat10';

export const tomcat: UpstreamKind = {
  name: 'tomcat10',
  refusesUnseen: false,
  command: ({ folder, port, seenFile }) => {
    for (const name of ['conf', 'logs', 'temp', 'webapps', 'webapps/ROOT', 'work']) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'webapps/ROOT/index.html'), 'ok');
    // Three elements suffice; Debian's web.xml would add two seconds to the start.
    writeFileSync(
      join(folder, 'conf/web.xml'),
      `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class></servlet>
  <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
</web-app>
`,
    );
    const name = basename(seenFile);
    const dot = name.lastIndexOf('.');
    writeFileSync(
      join(folder, 'conf/server.xml'),
      `<Server port="-1">
  <Service name="Catalina">
    <Connector port="${port}" address="127.0.0.1" protocol="HTTP/1.1" maxHttpHeaderSize="65536" server="tomcat"/>
    <Engine name="Catalina" defaultHost="any">
      <Host name="any" appBase="webapps" deployOnStartup="true" autoDeploy="false" unpackWARs="false">
        <Valve className="org.apache.catalina.valves.AccessLogValve" directory="${dirname(seenFile)}"
          prefix="${name.slice(0, dot)}" suffix="${name.slice(dot)}" rotatable="false" buffered="false" pattern="%r"/>
      </Host>
    </Engine>
  </Service>
</Server>
`,
    );
    return {
      argv: [
        'java',
        '-Xmx128m',
        '-XX:TieredStopAtLevel=1',
        '-classpath',
        `${HOME}/bin/bootstrap.jar:${HOME}/bin/tomcat-juli.jar`,
        `-Dcatalina.home=${HOME}`,
        `-Dcatalina.base=${folder}`,
        `-Djava.io.tmpdir=${folder}/temp`,
        'org.apache.catalina.startup.Bootstrap',
        'start',
      ],
    };
  },
};
