'use strict';

// The demo that is tested, and the client's commands as promises.

const { readFileSync } = require('node:fs');

const Riak = require('basho-riak-client');
// The client logs every connection that breaks, and some are broken here on purpose.
require('winston').default.transports.console.silent = true;

const REPLICAS = 3;

// --- the demo

function demoPrinted() {
    return readFileSync(process.env.OMBAK_DEMO_OUT, 'utf8');
}

/** Name, pid and address of each node, from the table. */
function demoNodes() {
    const row = /(dev\d+@127\.0\.0\.1)\D+(\d+)\D+(127\.0\.0\.1:\d+)/g;
    return [...demoPrinted().matchAll(row)].map(([, name, pid, address]) => ({ name, pid: Number(pid), address }));
}

const demo = demoNodes();

// --- the client

function connect(addresses, clusterOptions, nodeOptions) {
    const nodes = Riak.Node.buildNodes(addresses, { ...nodeOptions });
    const cluster = new Riak.Cluster({ nodes, ...clusterOptions });
    return new Promise((resolve, reject) => {
        new Riak.Client(cluster, (error, client) => (error ? reject(error) : resolve(client)));
    });
}

function stop(client) {
    return new Promise((resolve) => client.stop(resolve));
}

function failure(error) {
    return error instanceof Error ? error : new Error(error);
}

/** A command of the client, by the name of its method, as a promise. */
function run(client, method, ...options) {
    return new Promise((resolve, reject) => {
        client[method](...options, (error, answer) => (error ? reject(failure(error)) : resolve(answer)));
    });
}

/** A listing as it arrives, until the part that says that it is the last. */
function runStreamed(client, method, options) {
    return new Promise((resolve, reject) => {
        const parts = [];
        client[method]({ ...options, stream: true }, (error, part) => {
            if (error) {
                return reject(failure(error));
            }
            parts.push(part);
            if (part.done) {
                resolve(parts);
            }
        });
    });
}

const text = (object) => object.value.toString('utf8');
const texts = (answer) => answer.values.map(text).sort();
const numbered = (prefix, count) => Array.from({ length: count }, (_, number) => `${prefix}${number}`);

module.exports = {
    REPLICAS, connect, demo, demoPrinted, failure, numbered, run, runStreamed, stop, text, texts,
};
