//! Bucket properties as Protocol Buffers clients know them.

use bytes::Bytes;
use ombak_kv::props::{BucketProps, PropChange, PropValue, QuorumProp};
use ombak_wire::{RpbBucketProps, RpbCommitHook, RpbModFun, RpbReplMode, quorum};
use serde_json::{Value, json};

/// All properties that the protocol has a field for.
pub(crate) fn to_wire(props: &BucketProps) -> RpbBucketProps {
    let mut wire = RpbBucketProps::default();
    for (name, value) in props.iter() {
        put(&mut wire, name, value);
    }
    // Tells an empty list from none: both lists are always given.
    (wire.has_precommit, wire.has_postcommit) = (Some(true), Some(true));
    wire
}

fn put(wire: &mut RpbBucketProps, name: &str, value: &PropValue) {
    match value {
        PropValue::Bool(flag) => put_flag(wire, name, *flag),
        PropValue::Number(number) => put_number(wire, name, *number),
        PropValue::Quorum(quorum) => put_quorum(wire, name, sentinel(*quorum)),
        PropValue::Json(text) => {
            // What was stored was JSON when it was taken.
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            put_json(wire, name, &value);
        }
    }
}

fn put_flag(wire: &mut RpbBucketProps, name: &str, flag: bool) {
    let field = match name {
        "allow_mult" => &mut wire.allow_mult,
        "last_write_wins" => &mut wire.last_write_wins,
        "basic_quorum" => &mut wire.basic_quorum,
        "notfound_ok" => &mut wire.notfound_ok,
        // Riak leaves it out where it is not set.
        "write_once" if flag => &mut wire.write_once,
        _ => return,
    };
    *field = Some(flag);
}

fn put_number(wire: &mut RpbBucketProps, name: &str, number: u32) {
    let field = match name {
        "n_val" => &mut wire.n_val,
        "old_vclock" => &mut wire.old_vclock,
        "young_vclock" => &mut wire.young_vclock,
        "big_vclock" => &mut wire.big_vclock,
        "small_vclock" => &mut wire.small_vclock,
        _ => return,
    };
    *field = Some(number);
}

fn put_quorum(wire: &mut RpbBucketProps, name: &str, count: u32) {
    let field = match name {
        "r" => &mut wire.r,
        "pr" => &mut wire.pr,
        "w" => &mut wire.w,
        "pw" => &mut wire.pw,
        "dw" => &mut wire.dw,
        "rw" => &mut wire.rw,
        _ => return,
    };
    *field = Some(count);
}

fn put_json(wire: &mut RpbBucketProps, name: &str, value: &Value) {
    let text = || value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let hooks = || value.as_array().into_iter().flatten().filter_map(hook_to_wire).collect();
    match name {
        "precommit" => wire.precommit = hooks(),
        "postcommit" => wire.postcommit = hooks(),
        "chash_keyfun" => wire.chash_keyfun = mod_fun_to_wire(value),
        "linkfun" => wire.linkfun = mod_fun_to_wire(value),
        "backend" => wire.backend = text(),
        "search" => wire.search = value.as_bool(),
        "search_index" => wire.search_index = text(),
        "repl" => wire.repl = repl_to_wire(value).map(|mode| mode as i32),
        _ => {}
    }
}

/// The changes that a message asks for.
pub(crate) fn changes(wire: &RpbBucketProps) -> Vec<PropChange> {
    let mut changes = Vec::new();
    let mut set = |name: &str, value: Option<PropValue>| {
        if let Some(value) = value {
            changes.push(PropChange { name: name.into(), value: Some(value) });
        }
    };
    for (name, flag) in flags(wire) {
        set(name, flag.map(PropValue::Bool));
    }
    for (name, number) in numbers(wire) {
        set(name, number.map(PropValue::Number));
    }
    for (name, value) in carried(wire) {
        set(name, value.map(|value| PropValue::Json(value.to_string())));
    }
    let default = |name: &str| PropChange { name: name.into(), value: None };
    for (name, count) in quorums(wire) {
        let change = count.map(|count| match quorum_prop(count) {
            Some(quorum) => {
                PropChange { name: name.into(), value: Some(PropValue::Quorum(quorum)) }
            }
            None => default(name),
        });
        changes.extend(change);
    }
    changes
}

fn flags(wire: &RpbBucketProps) -> [(&'static str, Option<bool>); 6] {
    [
        ("allow_mult", wire.allow_mult),
        ("last_write_wins", wire.last_write_wins),
        ("basic_quorum", wire.basic_quorum),
        ("notfound_ok", wire.notfound_ok),
        ("write_once", wire.write_once),
        ("consistent", wire.consistent),
    ]
}

fn numbers(wire: &RpbBucketProps) -> [(&'static str, Option<u32>); 6] {
    [
        ("n_val", wire.n_val),
        ("old_vclock", wire.old_vclock),
        ("young_vclock", wire.young_vclock),
        ("big_vclock", wire.big_vclock),
        ("small_vclock", wire.small_vclock),
        ("hll_precision", wire.hll_precision),
    ]
}

fn quorums(wire: &RpbBucketProps) -> [(&'static str, Option<u32>); 6] {
    [
        ("r", wire.r),
        ("pr", wire.pr),
        ("w", wire.w),
        ("pw", wire.pw),
        ("dw", wire.dw),
        ("rw", wire.rw),
    ]
}

fn carried(wire: &RpbBucketProps) -> [(&'static str, Option<Value>); 9] {
    let text = |bytes: &Option<Bytes>| bytes.as_ref().map(|bytes| text_of(bytes).into());
    let hooks = |hooks: &[RpbCommitHook], has: Option<bool>| {
        let given = has == Some(true) || !hooks.is_empty();
        given.then(|| hooks.iter().map(hook_to_json).collect::<Vec<_>>().into())
    };
    [
        ("precommit", hooks(&wire.precommit, wire.has_precommit)),
        ("postcommit", hooks(&wire.postcommit, wire.has_postcommit)),
        ("chash_keyfun", wire.chash_keyfun.as_ref().map(mod_fun_to_json)),
        ("linkfun", wire.linkfun.as_ref().map(mod_fun_to_json)),
        ("backend", text(&wire.backend)),
        ("search", wire.search.map(Value::from)),
        ("search_index", text(&wire.search_index)),
        ("datatype", text(&wire.datatype)),
        ("repl", wire.repl.map(repl_to_json)),
    ]
}

fn sentinel(prop: QuorumProp) -> u32 {
    match prop {
        QuorumProp::One => quorum::ONE,
        QuorumProp::Quorum => quorum::QUORUM,
        QuorumProp::All => quorum::ALL,
        QuorumProp::Count(count) => count,
    }
}

/// `None`: back to the default.
fn quorum_prop(count: u32) -> Option<QuorumProp> {
    match count {
        quorum::DEFAULT => None,
        quorum::ONE => Some(QuorumProp::One),
        quorum::QUORUM => Some(QuorumProp::Quorum),
        quorum::ALL => Some(QuorumProp::All),
        count => Some(QuorumProp::Count(count)),
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn mod_fun_to_json(function: &RpbModFun) -> Value {
    let part = |part: &Option<Bytes>| text_of(part.as_deref().unwrap_or_default());
    json!({ "mod": part(&function.module), "fun": part(&function.function) })
}

fn mod_fun_to_wire(value: &Value) -> Option<RpbModFun> {
    let part = |name: &str| Some(Bytes::copy_from_slice(value.get(name)?.as_str()?.as_bytes()));
    Some(RpbModFun { module: Some(part("mod")?), function: Some(part("fun")?) })
}

fn hook_to_json(hook: &RpbCommitHook) -> Value {
    match (&hook.modfun, &hook.name) {
        (Some(function), _) => mod_fun_to_json(function),
        (None, name) => json!({ "name": text_of(name.as_deref().unwrap_or_default()) }),
    }
}

fn hook_to_wire(value: &Value) -> Option<RpbCommitHook> {
    let name = value.get("name").and_then(Value::as_str);
    let name = name.map(|name| Bytes::copy_from_slice(name.as_bytes()));
    let modfun = mod_fun_to_wire(value);
    (modfun.is_some() || name.is_some()).then_some(RpbCommitHook { modfun, name })
}

fn repl_to_wire(value: &Value) -> Option<RpbReplMode> {
    Some(match value {
        Value::Bool(true) => RpbReplMode::True,
        Value::Bool(false) => RpbReplMode::False,
        Value::String(mode) if mode == "realtime" => RpbReplMode::Realtime,
        Value::String(mode) if mode == "fullsync" => RpbReplMode::Fullsync,
        _ => return None,
    })
}

fn repl_to_json(mode: i32) -> Value {
    match RpbReplMode::try_from(mode) {
        Ok(RpbReplMode::True) => true.into(),
        Ok(RpbReplMode::Realtime) => "realtime".into(),
        Ok(RpbReplMode::Fullsync) => "fullsync".into(),
        Ok(RpbReplMode::False) | Err(_) => false.into(),
    }
}
