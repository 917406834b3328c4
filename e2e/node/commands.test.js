'use strict';

// What the client can ask for, one command after the other. It tries each once, so that nothing is hidden by a second
// attempt, and it takes the demo's nodes in turn.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');

const Riak = require('basho-riak-client');

const { REPLICAS, connect, demo, failure, numbered, run, runStreamed, stop, text, texts } = require('./support');

const { FetchValue, RiakObject, StoreValue } = Riak.Commands.KV;

const LIMIT = { timeout: 30_000 };
const ALL = 0xfffffffc;
const QUORUM = 0xfffffffd;
const ONE = 0xfffffffe;

let client;
const store = (options) => run(client, 'storeValue', options);
const fetch = (options) => run(client, 'fetchValue', options);
const remove = (options) => run(client, 'deleteValue', options);

before(async () => {
    assert.equal(demo.length, 3, 'the table of the demo has three nodes');
    client = await connect(demo.map((node) => node.address), { executionAttempts: 1 });
});

after(() => stop(client));

// --- the server

test('ping', LIMIT, async () => {
    assert.equal(await run(client, 'ping'), true);
});

test('server info: the client takes the nodes in turn, and each says its name', LIMIT, async () => {
    const names = [];
    for (const _ of demo) {
        const info = await run(client, 'fetchServerInfo');
        assert.match(info.server_version, /^[2-9]\.\d+\.\d+$/);
        names.push(info.node);
    }
    assert.deepEqual(names.sort(), demo.map((node) => node.name).sort());
});

test('a message that is not served is an error, and the connection goes on', LIMIT, async () => {
    const one = await connect([demo[0].address], { executionAttempts: 1 }, { maxConnections: 1 });
    try {
        // Riak 3 does not have it either.
        await assert.rejects(run(one, 'fetchIndex', { indexName: 'none' }), { message: 'Unknown message code: 54' });
        assert.equal(await run(one, 'ping'), true);
    } finally {
        await stop(one);
    }
});

// --- values

test('a JSON value', LIMIT, async () => {
    const value = { name: 'Çelik', nested: { list: [1, 2.5, null, true] }, empty: '' };
    await store({ bucket: 'values', key: 'json', value });
    const { values, isNotFound, vclock } = await fetch({ bucket: 'values', key: 'json', convertToJs: true });
    assert.deepEqual(values[0].value, value);
    assert.equal(values[0].contentType, 'application/json');
    assert.equal(values.length, 1);
    assert.equal(isNotFound, false);
    assert.ok(vclock.length > 0);
});

test('commands made by builders, on a client made of addresses', LIMIT, async () => {
    const plain = await new Promise((resolve, reject) => {
        const addresses = demo.map((node) => node.address);
        new Riak.Client(addresses, (error, made) => (error ? reject(failure(error)) : resolve(made)));
    });
    const execute = (builder) =>
        new Promise((resolve, reject) => {
            const callback = (error, answer) => (error ? reject(failure(error)) : resolve(answer));
            plain.execute(builder.withBucket('values').withKey('built').withCallback(callback).build());
        });
    try {
        await execute(new StoreValue.Builder().withContent({ built: true }).withW(2).withTimeout(5_000));
        const { values } = await execute(new FetchValue.Builder().withR(2).withConvertValueToJs(true));
        assert.deepEqual(values[0].value, { built: true });
    } finally {
        await stop(plain);
    }
});

test('a string value', LIMIT, async () => {
    await store({ bucket: 'values', key: 'string', value: 'żółw 🐢' });
    assert.deepEqual(texts(await fetch({ bucket: 'values', key: 'string' })), ['żółw 🐢']);
});

test('a Buffer with every byte', LIMIT, async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await store({ bucket: 'values', key: 'buffer', value });
    const { values } = await fetch({ bucket: 'values', key: 'buffer' });
    assert.ok(value.equals(values[0].value));
});

test('an empty value', LIMIT, async () => {
    await store({ bucket: 'values', key: 'empty', value: Buffer.alloc(0) });
    const { values, isNotFound } = await fetch({ bucket: 'values', key: 'empty' });
    assert.equal(isNotFound, false);
    assert.equal(values[0].value.length, 0);
});

test('a value of 3 MiB, more than the client reads at once', LIMIT, async () => {
    const value = Buffer.alloc(3 << 20);
    for (let at = 0; at < value.length; at += 4) {
        value.writeUInt32LE(Math.imul(at, 2654435761) >>> 0, at);
    }
    await store({ bucket: 'values', key: 'large', value });
    const { values } = await fetch({ bucket: 'values', key: 'large' });
    assert.ok(value.equals(values[0].value));
});

test('bucket and key with any characters', LIMIT, async () => {
    const [bucket, key] = ['ведро/ &?', 'ключ %2F\n"'];
    await store({ bucket, key, value: 'there', w: REPLICAS });
    assert.deepEqual(texts(await fetch({ bucket, key })), ['there']);
    assert.deepEqual((await run(client, 'listKeys', { bucket, stream: false })).keys, [key]);
});

test('a second write with and without the vclock: one value, the last', LIMIT, async () => {
    const at = { bucket: 'values', key: 'twice' };
    await store({ ...at, value: 'first' });
    await store({ ...at, value: 'second' });
    assert.deepEqual(texts(await fetch(at)), ['second']);
    const { vclock } = await fetch(at);
    await store({ ...at, value: 'third', vclock });
    assert.deepEqual(texts(await fetch(at)), ['third']);
});

test('metadata is carried', LIMIT, async () => {
    const object = new RiakObject()
        .setBucket('values')
        .setKey('metadata')
        .setValue('with metadata')
        .setContentType('text/plain; charset=utf-8')
        .setContentEncoding('identity')
        .setUserMeta([{ key: 'Author', value: 'Ünal' }, { key: 'empty', value: '' }])
        .setLinks([{ bucket: 'values', key: 'json', tag: 'next' }, { bucket: 'other', key: 'k/2', tag: 'up' }])
        .addToIndex('city_bin', 'İzmir', 'Ankara')
        .addToIndex('age_int', 7, -40);
    const startedMs = Date.now();
    await store({ value: object });
    const [found] = (await fetch({ bucket: 'values', key: 'metadata' })).values;
    const byKey = (one, other) => (one.key < other.key ? -1 : 1);
    assert.equal(text(found), 'with metadata');
    assert.equal(found.getContentType(), 'text/plain; charset=utf-8');
    assert.equal(found.getContentEncoding(), 'identity');
    assert.deepEqual(found.getUserMeta().sort(byKey), object.getUserMeta().sort(byKey));
    assert.deepEqual(found.getLinks().sort(byKey), object.getLinks().sort(byKey));
    assert.deepEqual(found.getIndex('city_bin').sort(), ['Ankara', 'İzmir']);
    assert.deepEqual(found.getIndex('age_int').sort((one, other) => one - other), [-40, 7]);
    assert.deepEqual(Object.keys(found.getIndexes()).sort(), ['age_int', 'city_bin']);
    assert.ok(found.getLastModified() >= startedMs - 1 && found.getLastModified() <= Date.now() + 1);
    assert.equal(found.getIsTombstone(), false);
});

test('a missing key', LIMIT, async () => {
    const answer = await fetch({ bucket: 'values', key: 'nobody wrote this' });
    assert.deepEqual(answer, { isNotFound: true, isUnchanged: false, vclock: null, values: [] });
});

test('delete, with and without the vclock, and of nothing', LIMIT, async () => {
    const at = { bucket: 'values', key: 'deleted' };
    await store({ ...at, value: 'x' });
    assert.equal(await remove(at), true);
    assert.equal((await fetch(at)).isNotFound, true);
    await store({ ...at, value: 'y' });
    const { vclock } = await fetch(at);
    assert.equal(await remove({ ...at, vclock }), true);
    assert.equal((await fetch(at)).isNotFound, true);
    assert.equal(await remove({ bucket: 'values', key: 'nobody wrote this either' }), true);
    await store({ ...at, value: 'again' });
    assert.deepEqual(texts(await fetch(at)), ['again']);
});

// --- options

test('returnBody', LIMIT, async () => {
    const options = { bucket: 'options', key: 'body', value: { a: 1 }, returnBody: true, convertToJs: true };
    const { values, vclock, generatedKey } = await store(options);
    assert.deepEqual(values.map((object) => object.value), [{ a: 1 }]);
    assert.equal(generatedKey, null);
    assert.deepEqual((await fetch({ bucket: 'options', key: 'body' })).vclock, vclock);
    const nothing = await store({ bucket: 'options', key: 'body', value: 'x', vclock });
    assert.deepEqual(nothing, { generatedKey: null, vclock: null, values: [] });
});

test('returnHead and headOnly: all but the value', LIMIT, async () => {
    const meta = [{ key: 'a', value: 'b' }];
    const value = new RiakObject().setValue('long').setContentType('text/plain').setUserMeta(meta);
    const at = { bucket: 'options', key: 'head' };
    for (const answer of [await store({ ...at, value, returnHead: true }), await fetch({ ...at, headOnly: true })]) {
        const [object] = answer.values;
        assert.equal(answer.values.length, 1);
        assert.equal(object.value.length, 0);
        assert.equal(object.getContentType(), 'text/plain');
        assert.deepEqual(object.getUserMeta(), meta);
        assert.ok(answer.vclock.length > 0);
    }
});

test('ifNoneMatch', LIMIT, async () => {
    const options = { bucket: 'options', key: 'none match', value: 'first', ifNoneMatch: true };
    await store(options);
    await assert.rejects(store({ ...options, value: 'second' }), { message: 'match_found' });
    assert.deepEqual(texts(await fetch({ bucket: 'options', key: 'none match' })), ['first']);
});

test('ifNotModified', LIMIT, async () => {
    const at = { bucket: 'options', key: 'not modified' };
    const first = await store({ ...at, value: 'first', returnBody: true });
    await store({ ...at, value: 'second', vclock: first.vclock, ifNotModified: true });
    const third = { ...at, value: 'third', vclock: first.vclock, ifNotModified: true };
    await assert.rejects(store(third), { message: 'modified' });
    await assert.rejects(store({ ...third, key: 'not there' }), { message: 'notfound' });
    assert.deepEqual(texts(await fetch(at)), ['second']);
});

test('ifModified', LIMIT, async () => {
    const at = { bucket: 'options', key: 'modified' };
    const first = await store({ ...at, value: 'first', returnBody: true });
    const second = await store({ ...at, value: 'second', vclock: first.vclock, returnBody: true });
    assert.deepEqual(texts(await fetch({ ...at, ifModified: first.vclock })), ['second']);
    // Riak answers `unchanged` and nothing else, and so does this. The client looks for a vclock in it and fails.
    await assert.rejects(fetch({ ...at, ifModified: second.vclock }), TypeError);
});

test('generated keys', LIMIT, async () => {
    const { generatedKey } = await store({ bucket: 'generated', value: 'one' });
    const second = await store({ bucket: 'generated', value: 'two', returnBody: true });
    assert.match(generatedKey, /^[0-9A-Za-z]{20,}$/);
    assert.notEqual(second.generatedKey, generatedKey);
    assert.deepEqual(texts(second), ['two']);
    assert.equal(second.values[0].getKey(), second.generatedKey);
    assert.deepEqual(texts(await fetch({ bucket: 'generated', key: generatedKey })), ['one']);
    assert.deepEqual(texts(await fetch({ bucket: 'generated', key: second.generatedKey })), ['two']);
});

test('quorums, as numbers and by their names', LIMIT, async () => {
    for (const quorum of [1, 2, 3, ONE, QUORUM, ALL]) {
        const at = { bucket: 'options', key: `quorum ${quorum}` };
        const more = { timeout: 5_000 };
        await store({ ...at, ...more, value: 'x', w: quorum, dw: quorum, pw: quorum });
        // One replica may be the one that does not have it yet, unless all were waited for.
        const r = quorum === 1 || quorum === ONE ? ALL : quorum;
        for (const flags of [{}, { notFoundOk: true }, { useBasicQuorum: true }]) {
            assert.deepEqual(texts(await fetch({ ...at, ...more, ...flags, r, pr: quorum })), ['x']);
        }
        await remove({ ...at, ...more, r, pr: quorum, w: quorum, dw: quorum, pw: quorum, rw: quorum });
        assert.equal((await fetch({ ...at, r })).isNotFound, true);
    }
});

test('a quorum of more than there are replicas is refused', LIMIT, async () => {
    const refused = { message: '{n_val_violation,3}' };
    await assert.rejects(fetch({ bucket: 'options', key: 'x', r: 4 }), refused);
    await assert.rejects(store({ bucket: 'options', key: 'x', value: 'x', w: 4 }), refused);
});

test('an unknown bucket type is refused', LIMIT, async () => {
    await assert.rejects(fetch({ bucketType: 'nope', bucket: 'options', key: 'x' }), { message: 'no_type' });
});

// --- siblings

test('siblings, and their end by a write with the vclock', LIMIT, async () => {
    const bucket = 'siblings';
    await run(client, 'storeBucketProps', { bucket, allowMult: true });
    const sibling = (value) => new RiakObject().setValue(value).setContentType('text/plain').setBucket(bucket);
    await store({ key: 'k', value: sibling('one').setUserMeta([{ key: 'n', value: '1' }]) });
    await store({ key: 'k', value: sibling('two').setUserMeta([{ key: 'n', value: '2' }]) });
    const third = await store({ key: 'k', value: sibling('three'), returnBody: true });
    assert.deepEqual(texts(third), ['one', 'three', 'two']);

    const found = await fetch({ bucket, key: 'k' });
    assert.deepEqual(texts(found), ['one', 'three', 'two']);
    const one = found.values.find((object) => text(object) === 'one');
    assert.deepEqual(one.getUserMeta(), [{ key: 'n', value: '1' }]);

    const conflictResolver = (objects) => objects[0].setValue(objects.map(text).sort().join('+'));
    const resolved = await fetch({ bucket, key: 'k', conflictResolver });
    assert.equal(resolved.values.length, 1);
    // The object knows its bucket, its key and the vclock.
    const merged = await store({ value: resolved.values[0], returnBody: true });
    assert.deepEqual(texts(merged), ['one+three+two']);
    assert.deepEqual(texts(await fetch({ bucket, key: 'k' })), ['one+three+two']);
});

test('a delete that has not seen a sibling leaves it', LIMIT, async () => {
    const at = { bucket: 'siblings', key: 'deleted' };
    await run(client, 'storeBucketProps', { bucket: at.bucket, allowMult: true });
    const seen = await store({ ...at, value: 'seen', returnBody: true });
    await store({ ...at, value: 'unseen' });
    await remove({ ...at, vclock: seen.vclock });
    const { values, vclock } = await fetch(at);
    assert.deepEqual(values.filter((object) => !object.getIsTombstone()).map(text), ['unseen']);
    await remove({ ...at, vclock });
    assert.equal((await fetch(at)).isNotFound, true);
});

// --- buckets

test('list keys, streamed and not', LIMIT, async () => {
    const bucket = 'listed';
    const keys = numbered('key-', 400).sort();
    await Promise.all(keys.map((key) => store({ bucket, key, value: key, w: REPLICAS })));
    const whole = await run(client, 'listKeys', { bucket, stream: false });
    assert.deepEqual(whole.keys.sort(), keys);
    const parts = await runStreamed(client, 'listKeys', { bucket });
    assert.deepEqual(parts.flatMap((part) => part.keys).sort(), keys);
    assert.ok(parts.slice(0, -1).every((part) => !part.done));

    const gone = keys.slice(0, 100);
    await Promise.all(gone.map((key) => remove({ bucket, key, w: REPLICAS })));
    assert.deepEqual((await run(client, 'listKeys', { bucket, stream: false })).keys.sort(), keys.slice(100));
    assert.deepEqual((await run(client, 'listKeys', { bucket: 'nothing here', stream: false })).keys, []);
});

test('list buckets, streamed and not', LIMIT, async () => {
    const buckets = numbered('list-buckets-', 20).sort();
    await Promise.all(buckets.map((bucket) => store({ bucket, key: 'k', value: 'v', w: REPLICAS })));
    const ours = (names) => names.filter((name) => name.startsWith('list-buckets-')).sort();
    assert.deepEqual(ours((await run(client, 'listBuckets', { stream: false })).buckets), buckets);
    const parts = await runStreamed(client, 'listBuckets', {});
    assert.deepEqual(ours(parts.flatMap((part) => part.buckets)), buckets);
});

test('bucket properties: defaults, set, seen by every node, reset', LIMIT, async () => {
    const bucket = 'props';
    // The client goes from node to node.
    const everywhere = async (check) => {
        for (const _ of demo) {
            check(await run(client, 'fetchBucketProps', { bucket }));
        }
    };
    const pick = (props, like) => Object.fromEntries(Object.keys(like).map((name) => [name, props[name]]));
    const defaults = {
        nVal: 3, allowMult: false, lastWriteWins: false, basicQuorum: false, notFoundOk: true,
        r: QUORUM, w: QUORUM, dw: QUORUM, rw: QUORUM, pr: 0, pw: 0,
        oldVClock: 86400, youngVClock: 20, bigVClock: 50, smallVClock: 50,
        hasPrecommit: true, precommit: [], hasPostcommit: true, postcommit: [],
        chashKeyfun: { mod: 'riak_core_util', fun: 'chash_std_keyfun' },
        linkFun: { mod: 'riak_kv_wm_link_walker', fun: 'mapreduce_linkfun' },
    };
    const changed = {
        nVal: 2, allowMult: true, basicQuorum: true, notFoundOk: false,
        r: 1, w: 2, dw: ONE, rw: ALL, pr: 1, pw: QUORUM,
        oldVClock: 1000, youngVClock: 10, bigVClock: 60, smallVClock: 40,
        backend: 'some', search: true, searchIndex: 'index',
        precommit: [{ mod: 'm', fun: 'f' }, { name: 'Some.hook' }],
    };
    await everywhere((props) => assert.deepEqual(pick(props, defaults), defaults));
    assert.equal(await run(client, 'storeBucketProps', { bucket, ...changed }), true);
    const expected = { ...defaults, ...changed };
    await everywhere((props) => assert.deepEqual(pick(props, expected), expected));
    assert.equal(await run(client, 'storeBucketProps', { bucket, lastWriteWins: true }), true);
    await everywhere((props) => assert.equal(props.lastWriteWins, true));
    assert.equal(await run(client, 'resetBucketProps', { bucket }), true);
    await everywhere((props) => assert.deepEqual(pick(props, defaults), defaults));
    const ofType = await run(client, 'fetchBucketTypeProps', { bucketType: 'default' });
    assert.deepEqual(pick(ofType, defaults), defaults);
});

test('the preference list: the same partitions as in Riak', LIMIT, async () => {
    const { preflist } = await run(client, 'fetchPreflist', { bucket: 'b', key: 'f' });
    assert.deepEqual(preflist.map((item) => item.partition), [52, 53, 54]);
    assert.deepEqual(preflist.map((item) => item.node).sort(), demo.map((node) => node.name).sort());
    assert.ok(preflist.every((item) => item.primary));
});

// --- load

test('six hundred commands in flight, each on a connection of its own', LIMIT, async () => {
    const keys = numbered('flight-', 600);
    const all = await Promise.all(
        keys.map((key) => store({ bucket: 'flight', key, value: { key }, returnBody: true, convertToJs: true })),
    );
    assert.deepEqual(all.map((answer) => answer.values[0].value.key), keys);
    const found = await Promise.all(keys.map((key) => fetch({ bucket: 'flight', key, convertToJs: true })));
    assert.deepEqual(found.map((answer) => answer.values[0].value.key), keys);
});
