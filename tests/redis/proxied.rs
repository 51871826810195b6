//! Redis through our proxy beside Redis itself: what the proxy sends on for clients of RESP2 and of
//! RESP3 is answered as if they had asked Redis.

use super::agree;
use super::commands::{HUSHED, KEYS, LIVES, NUMBERS, STRINGS};
use super::compare::{Kind, ONE_DATABASE, Pair, REDIS};
use super::script::Script;

const CACHING: Kind = Kind::Proxied(&[], ONE_DATABASE);

/// Keys that expire are served from a cache for longer.
const NOT_CACHING: Kind = Kind::Proxied(&["--ttl", "0"], ONE_DATABASE);

/// As before Redis 6.
const OLD: Kind = Kind::Proxied(&[], &["--databases", "1", "--rename-command", "HELLO", ""]);

#[test]
fn values_through_a_proxy_are_as_in_redis() {
    agree(REDIS, CACHING, &[STRINGS, NUMBERS], 4_000);
}

#[test]
fn keys_that_live_for_a_while_are_through_a_proxy_as_in_redis() {
    // INFO is the proxy's own.
    let keys: Vec<_> = KEYS.iter().copied().filter(|line| !line.contains("INFO")).collect();
    agree(REDIS, NOT_CACHING, &[LIVES, &keys], 4_000);
}

#[test]
fn replies_are_held_back_by_a_proxy_as_in_redis() {
    // That they be held back is not kept for EXEC.
    let hushed: Vec<_> = HUSHED.iter().copied().filter(|line| *line != "MULTI").collect();
    agree(REDIS, CACHING, &[&hushed], 1_000);
}

/// Several requests as one, without WATCH.
const TRANSACTIONS: &[&str] = &[
    "8 MULTI",
    "6 EXEC",
    "DISCARD",
    "UNWATCH",
    "MULTI; INCR key; GET key; NOSUCH; EXEC",
    "MULTI; INCR key; MGET key+; EXEC",
    "MULTI; HSET key value value; HGETALL key; ZADD key number value; EXEC",
    "RESET",
];

#[test]
fn transactions_through_a_proxy_are_as_in_redis() {
    agree(REDIS, CACHING, &[TRANSACTIONS, STRINGS], 4_000);
}

/// What is built otherwise in RESP2 than in RESP3, and what might be.
const SCRIPTS: &[&str] = &[
    // Hashes.
    "HSET h a 1 b 2\nHGET h a\nHGET h x\nHGET none x\nHMGET h a x\nHGETALL h\nHGETALL none\nHKEYS h
     HVALS h\nHLEN h\nHEXISTS h a\nHEXISTS h x\nHSETNX h a 5\nHINCRBY h a 2\nHINCRBYFLOAT h a 1.5
     HSTRLEN h a\nHSCAN h 0\nHSCAN none 0\nHMSET h c 3\nHDEL h a x\nHGETALL h\nGET h\nHGET h",
    "HSET h a 1\nHRANDFIELD h\nHRANDFIELD h 5\nHRANDFIELD h 5 WITHVALUES\nHRANDFIELD h -2 WITHVALUES
     HRANDFIELD h 0 WITHVALUES\nHRANDFIELD none\nHRANDFIELD none 5\nHRANDFIELD none 5 WITHVALUES",
    // Lists.
    "RPUSH l a b c d\nLRANGE l 0 -1\nLRANGE none 0 -1\nLPOP l\nLPOP l 2\nLPOP l 0\nRPOP l\nRPOP l
     RPOP l 2\nLPOP none 2\nLPOP none\nRPOP none 2\nLPOP none 0\nLPUSH l x y\nLPUSHX none a",
    "RPUSH l a b a\nLPOS l a\nLPOS l x\nLPOS l a COUNT 0\nLPOS l x COUNT 0\nLPOS none a\nLINDEX l 0
     LINDEX l 9\nLLEN l\nLINSERT l BEFORE b z\nLSET l 0 q\nLSET none 0 q\nLREM l 0 a\nLTRIM l 0 0
     LMOVE l m LEFT RIGHT\nLMOVE none m LEFT RIGHT\nRPOPLPUSH m l\nRPOPLPUSH none l\nGET l",
    "RPUSH l a b\nLMPOP 2 none l LEFT\nLMPOP 1 l LEFT COUNT 5\nLMPOP 1 l LEFT\nLMPOP 1 none RIGHT",
    // Sets.
    "SADD s 1 2 3\nSMEMBERS s\nSMEMBERS none\nSISMEMBER s 1\nSMISMEMBER s 1 9\nSMISMEMBER none 1
     SCARD s\nSADD t 2\nSINTER s t\nSUNION s t\nSDIFF s t\nSINTERCARD 2 s t\nSINTERSTORE u s t
     SUNIONSTORE u s t\nSDIFFSTORE u s none\nSMOVE s t 1\nSREM s 3\nSPOP s\nSPOP s\nSPOP none
     SPOP none 3\nSPOP t 5\nSRANDMEMBER none\nSRANDMEMBER none 3\nSADD s 7\nSRANDMEMBER s
     SRANDMEMBER s 3\nSRANDMEMBER s -3\nSPOP s 2\nSSCAN none 0\nSADD v 5\nSSCAN v 0",
    // Sorted sets.
    "ZADD z 1 a 2.5 b 3e100 c -inf d inf e\nZRANGE z 0 -1\nZRANGE z 0 -1 WITHSCORES
     ZRANGE none 0 -1 WITHSCORES\nZREVRANGE z 0 -1 WITHSCORES\nZREVRANGE z 0 -1
     ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 0 2\nZREVRANGEBYSCORE z +inf -inf WITHSCORES
     ZRANGEBYSCORE z 9 1 WITHSCORES\nZRANGE z 1 3 BYSCORE WITHSCORES\nZRANGE z [a [c BYLEX
     ZRANGEBYLEX z - +\nZREVRANGEBYLEX z + -\nZSCORE z b\nZSCORE z x\nZSCORE none x\nZMSCORE z a x e
     ZMSCORE none a\nZRANK z a\nZRANK z x\nZREVRANK z b\nZREVRANK none b\nZCARD z\nZCOUNT z 1 3
     ZLEXCOUNT z - +\nZSCAN z 0\nZSCAN none 0\nZADD z XX INCR 1 a\nZADD z XX INCR 1 x
     ZADD z NX INCR 1 a\nZADD z CH 9 a\nZINCRBY z 0.1 a\nZINCRBY z inf d\nZRANGESTORE y z 0 1
     ZREM z a\nZREMRANGEBYRANK z 0 0\nZREMRANGEBYSCORE z 5 6\nZREMRANGEBYLEX z [b [b",
    "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f\nZPOPMIN z\nZPOPMAX z\nZPOPMIN z 1\nZPOPMAX z 2\nZPOPMIN z 0
     ZPOPMIN none\nZPOPMIN none 2\nZPOPMAX z 9\nZMPOP 1 none MIN\nZADD z 1 a 2 b 3 c\nZMPOP 1 z MIN
     ZMPOP 2 none z MAX COUNT 5\nZMPOP 1 z MIN",
    "ZADD z 1 a\nZADD y 2 a 3 b\nZUNION 2 z y\nZUNION 2 z y WITHSCORES\nZINTER 2 z y
     ZINTER 2 z y WITHSCORES\nZDIFF 2 y z\nZDIFF 2 y z WITHSCORES\nZDIFF 1 none WITHSCORES
     ZINTERCARD 2 z y\nZUNIONSTORE x 2 z y WEIGHTS 2 3\nZINTERSTORE x 2 z y\nZDIFFSTORE x 2 y z
     ZRANDMEMBER z\nZRANDMEMBER z 3\nZRANDMEMBER z 3 WITHSCORES\nZRANDMEMBER z -2 WITHSCORES
     ZRANDMEMBER none\nZRANDMEMBER none 3\nZRANDMEMBER none 3 WITHSCORES\nZUNION 2 z y WITHSCORE",
    // Places.
    "GEOADD g 13.361389 38.115556 p 15.087269 37.502669 c\nGEODIST g p c\nGEODIST g p c km
     GEODIST g p x\nGEODIST none p x\nGEOHASH g p x\nGEOHASH none p\nGEOPOS g p x\nGEOPOS none p x
     GEOPOS g\nGEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH ASC
     GEORADIUS g 15 37 200 km STORE s\nGEORADIUS_RO none 15 37 200 km\nGEORADIUSBYMEMBER g p 99 km
     GEORADIUSBYMEMBER_RO g p 99 km WITHDIST\nGEOSEARCH g FROMMEMBER p BYRADIUS 300 km ASC WITHDIST
     GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHCOORD
     GEOSEARCHSTORE t g FROMMEMBER p BYRADIUS 300 km STOREDIST",
    // Streams.
    "XADD s 1-1 a 1 b 2\nXADD s 2-1 c 3\nXADD s 1-1 d 4\nXRANGE s - +\nXREVRANGE s + - COUNT 1
     XRANGE none - +\nXLEN s\nXGROUP CREATE s g 0\nXGROUP CREATE s g 0\nXINFO GROUPS s
     XGROUP CREATECONSUMER s g me\nXPENDING s g\nXPENDING s g - + 5\nXACK s g 1-1
     XCLAIM s g me 0 1-1 FORCE JUSTID\nXCLAIM s g me 0 2-1 FORCE\nXPENDING s g
     XAUTOCLAIM s g me 0 0 COUNT 5\nXAUTOCLAIM s g me 0 0 JUSTID\nXDEL s 2-1
     XAUTOCLAIM s g me 0 0\nXTRIM s MAXLEN 1\nXSETID s 5-5\nXGROUP SETID s g 0
     XGROUP DELCONSUMER s g me\nXGROUP DESTROY s g\nXINFO STREAM none\nXINFO GROUPS none
     XADD none NOMKSTREAM * a 1\nXPENDING none g\nXADD s 9-9 a 1",
    "XADD s 1-1 a 1\nXINFO STREAM s\nXINFO STREAM s FULL\nXINFO CONSUMERS s g\nXTRIM s MAXLEN 0
     XINFO STREAM s\nXGROUP CREATE s g $ MKSTREAM\nXGROUP CREATE new g $ MKSTREAM\nXINFO STREAM new
     XINFO GROUPS new\nXINFO STREAM new FULL",
    // Strings, bits and counts.
    "SET k hello\nGETRANGE k 1 2\nSUBSTR k 1 2\nSETRANGE k 1 a\nGET k\nSETBIT k 1 1\nGETBIT k 1
     BITCOUNT k\nBITPOS k 1\nBITOP AND d k k\nGET d\nBITFIELD k GET u8 0 SET u8 0 9
     BITFIELD k OVERFLOW FAIL INCRBY u2 0 3\nBITFIELD k OVERFLOW FAIL INCRBY u2 0 3
     BITFIELD_RO k GET u8 0\nINCRBYFLOAT n 1.5\nGET n\nLCS k d\nLCS k d LEN\nLCS k d IDX
     LCS k d IDX WITHMATCHLEN\nPFADD p a b\nPFCOUNT p\nPFMERGE q p\nPFCOUNT p q\nMEMORY USAGE none
     GET k\nCOPY k c\nGET c\nCOPY none c\nOBJECT ENCODING k\nOBJECT REFCOUNT k\nOBJECT ENCODING none
     OBJECT FREQ none\nMEMORY USAGE c\nRESTORE r 0 x\nMOVE k 0\nMGET k none c n\nMGET k p h",
    "RPUSH l 3 1 2\nSORT l\nSORT l DESC LIMIT 0 2\nSET w_1 x\nSORT l BY w_* GET # GET w_*\nSORT_RO l
     SORT none\nSORT l STORE m\nLRANGE m 0 -1\nSORT l BY nosort GET v_*\nSET l2 x\nSORT l2\nTYPE m
     SORT l STORE w_1\nGET w_1\nMGET w_1 l none",
    // A script that may only read.
    "EVAL_RO return\\x20{1,'a',false,true} 0\nEVAL_RO return\\x20redis.call('get',KEYS[1]) 1 none
     EVAL_RO return\\x20{double=1.5} 0\nEVAL_RO redis.setresp(3)return\\x20true 0
     EVAL_RO return\\x20redis.call('set','k','v') 0
     EVAL_RO return\\x20redis.error_reply('E\\x20x') 0
     EVAL_RO redis.setresp(3)return{map={a=1}} 0
     EVAL_RO redis.setresp(3)return{big_number='12'} 0
     EVAL_RO return{verbatim_string={format='txt',string='abc'}} 0
     EVAL_RO redis.setresp(3)return{set={a=true}} 0
     SET k 1
     EVAL_RO redis.setresp(3)return\\x20redis.call('hgetall','none') 0\nGET k",
    // Everything at once.
    "SET a 1\nGET a\nSWAPDB 0 0\nGET a\nFUNCTION DELETE none\nFLUSHDB\nGET a\nHSET a b c\nGET a
     MGET a b\nDEL a\nGET a\nLOLWUT VERSION 5 1 1 1\nOBJECT NOSUCH a\nOBJECT\nXGROUP\nMEMORY
     HSET\nHSET h\nHSET h f\nNOSUCH a b
     hset h f v\nHgEt h f\nobject ENCODING h\nObject encoding h",
];

fn scripts() -> impl Iterator<Item = String> {
    SCRIPTS.iter().map(|script| {
        script.lines().map(|line| format!("*> {}\n", line.trim())).collect::<String>()
    })
}

#[track_caller]
fn none_differs(other: Kind, scripts: impl Iterator<Item = Script>) {
    let mut pair = Pair::start(REDIS, other);
    let faults: Vec<_> = scripts.filter_map(|script| pair.run(&script).err()).collect();
    assert!(faults.is_empty(), "{} differ:\n{}", faults.len(), faults.join("\n"));
}

fn in_both_versions(script: String) -> [Script; 2] {
    [Script::of(&script), Script::of(&script).in_resp3()]
}

#[test]
fn other_types_are_through_a_proxy_as_in_redis() {
    none_differs(CACHING, scripts().flat_map(in_both_versions));
}

#[test]
fn other_types_are_through_a_proxy_as_in_redis_that_knows_no_resp3() {
    none_differs(OLD, scripts().map(|script| Script::of(&script)));
}

#[test]
fn other_types_in_a_transaction_are_through_a_proxy_as_in_redis() {
    // What is refused at once is so in both.
    let is_right = |line: &&str| !line.contains("NOSUCH") && line.split(' ').count() > 2;
    let transactions = scripts().map(|script| {
        let lines: Vec<_> = script.lines().filter(is_right).collect();
        format!("*> MULTI\n{}\n*> EXEC\n", lines.join("\n"))
    });
    none_differs(CACHING, transactions.flat_map(in_both_versions));
}
