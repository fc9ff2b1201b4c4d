// The everyday life of the JavaScript client: informers, every verb, streams of a pod. Prints what came back.

import { PassThrough } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromFile(process.argv[2]);
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = 'default';
const as = (strategy) => k8s.setHeaderOptions('Content-Type', strategy);

/** What an informer says, to be waited for. */
class Heard {
    events = [];
    waiting = [];
    constructor(informer) {
        for (const verb of [k8s.ADD, k8s.UPDATE, k8s.DELETE]) {
            informer.on(verb, (object) => this.hear(verb, object));
        }
        informer.on(k8s.ERROR, (error) => {
            // That is how it says that it was stopped.
            if (error.name !== 'AbortError') throw error;
        });
    }
    hear(verb, object) {
        this.events.push([verb, object]);
        this.waiting = this.waiting.filter((look) => !look());
    }
    /** The first event of this kind that `wanted` accepts. */
    event(verb, wanted) {
        return new Promise((resolve) => {
            const look = () => {
                const found = this.events.find(([v, object]) => v === verb && wanted(object));
                if (found) resolve(found[1]);
                return found !== undefined;
            };
            if (!look()) this.waiting.push(look);
        });
    }
}

async function code(promise) {
    try {
        await promise;
        return 'no error';
    } catch (error) {
        return `${error.code} ${JSON.parse(error.body).reason}`;
    }
}

async function maps() {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'of=js' });
    const informer = k8s.makeInformer(config, path, list, 'of=js');
    const heard = new Heard(informer);
    const named = (name) => ({ name, namespace });
    const body = { metadata: { name: 'early', labels: { of: 'js' } }, data: { k: 'v' } };
    await core.createNamespacedConfigMap({ namespace, body });
    await informer.start();
    await heard.event(k8s.ADD, (o) => o.metadata.name === 'early');

    body.metadata.name = 'js';
    const first = await core.createNamespacedConfigMap({ namespace, body });
    await heard.event(k8s.ADD, (o) => o.metadata.name === 'js');
    const patch = async (strategy, body, more = {}) =>
        (await core.patchNamespacedConfigMap({ ...named('js'), body, ...more }, as(strategy))).data;
    const { PatchStrategy } = k8s;
    console.log('json', JSON.stringify(await patch(PatchStrategy.JsonPatch, [{ op: 'replace', path: '/data/k', value: 'w' }])));
    console.log('merge', JSON.stringify(await patch(PatchStrategy.MergePatch, { data: { m: '1' } })));
    console.log('strategic', JSON.stringify(await patch(PatchStrategy.StrategicMergePatch, { data: { m: null, s: '2' } })));
    const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'js' }, data: { a: '3' } };
    console.log('apply', JSON.stringify(await patch(PatchStrategy.ServerSideApply, applied, { fieldManager: 'js' })));
    applied.data.k = 'x';
    console.log('apply another\'s', await code(patch(PatchStrategy.ServerSideApply, applied, { fieldManager: 'js' })));
    const seen = await heard.event(k8s.UPDATE, (o) => o.data?.a === '3');
    console.log('informer', JSON.stringify(seen.data), informer.get('js', namespace).metadata.uid === seen.metadata.uid);
    console.log('stale', await code(core.replaceNamespacedConfigMap({ ...named('js'), body: first })));
    console.log('twice', await code(core.createNamespacedConfigMap({ namespace, body })));
    await core.deleteNamespacedConfigMap(named('js'));
    await heard.event(k8s.DELETE, (o) => o.metadata.name === 'js');
    console.log('gone', await code(core.readNamespacedConfigMap(named('js'))), informer.list(namespace).map((o) => o.metadata.name).join());
    await informer.stop();
}

async function pages() {
    for (let n = 0; n < 5; n++) {
        await core.createNamespacedConfigMap({ namespace, body: { metadata: { generateName: 'page-', labels: { of: 'pages' } } } });
    }
    const names = new Set();
    let pages = 0;
    let _continue;
    do {
        const page = await core.listNamespacedConfigMap({ namespace, labelSelector: 'of=pages', limit: 2, _continue });
        page.items.forEach((o) => names.add(o.metadata.name));
        _continue = page.metadata._continue;
        pages++;
    } while (_continue);
    console.log('pages', pages, names.size);
}

/** A watch ends when its time is over, with a bookmark before. */
async function watch() {
    const kinds = new Set();
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const options = { timeoutSeconds: 1, allowWatchBookmarks: true, sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' };
    const ended = await new Promise((resolve) => {
        new k8s.Watch(config).watch(path, options, (kind) => kinds.add(kind), resolve).catch(resolve);
    });
    console.log('watch', [...kinds].sort().join(), ended ?? 'ended');
}

async function workloads() {
    const body = {
        metadata: { name: 'web' },
        spec: {
            replicas: 1,
            selector: { matchLabels: { app: 'web' } },
            template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'web', image: 'nginx' }] } },
        },
    };
    const made = await apps.createNamespacedDeployment({ namespace, body });
    const scale = await apps.patchNamespacedDeploymentScale({ name: 'web', namespace, body: { spec: { replicas: 2 } } }, as(k8s.PatchStrategy.MergePatch));
    console.log('deployment', made.spec.strategy.type, made.metadata.creationTimestamp instanceof Date, scale.spec.replicas);
    const pods = new Heard(await started('pods', () => core.listNamespacedPod({ namespace, labelSelector: 'app=web' }), 'app=web'));
    const ready = (pod) => pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True');
    const pod = await pods.event(k8s.UPDATE, ready);
    await streams(pod.metadata.name);
    await apps.deleteNamespacedDeployment({ name: 'web', namespace, propagationPolicy: 'Foreground' });
    await pods.event(k8s.DELETE, (o) => o.metadata.name === pod.metadata.name);
}

const informers = [];

async function started(resource, list, selector) {
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/${resource}`, list, selector);
    informers.push(informer);
    // Listeners come first, or what is there already is missed.
    setImmediate(() => informer.start());
    return informer;
}

async function collect(stream) {
    let text = '';
    for await (const chunk of stream) text += chunk;
    return text;
}

async function streams(pod) {
    const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const texts = [collect(stdout), collect(stderr)];
    const status = await new Promise((resolve, reject) => {
        const command = ['bash', '-c', 'read line; echo "got $line"; echo oh >&2; exit 3'];
        new k8s.Exec(config).exec(namespace, pod, 'web', command, stdout, stderr, stdin, false, resolve).catch(reject);
        stdin.write('words\n');
    });
    stdout.end();
    stderr.end();
    console.log('exec', ...(await Promise.all(texts)).map((t) => t.trim()), status.reason, status.details.causes[0].message);

    const page = new PassThrough();
    const ask = new PassThrough();
    const forward = await new k8s.PortForward(config).portForward(namespace, pod, [80], page, null, ask);
    ask.write('GET / HTTP/1.0\r\n\r\n');
    let text = '';
    for await (const chunk of page) {
        text += chunk;
        if (text.includes('</html>')) break;
    }
    console.log('port-forward', text.includes('Welcome to nginx!'));
    forward.close();

    const log = new PassThrough();
    await new k8s.Log(config).log(namespace, pod, 'web', log, { follow: true });
    for await (const chunk of log) {
        if (String(chunk).includes('GET / HTTP/1.0')) break;
    }
    console.log('log');
}

await maps();
await pages();
await watch();
await workloads();
await Promise.all(informers.map((informer) => informer.stop()));
process.exit(0);
