BEGIN TRANSACTION;
CREATE TABLE blocked_outboxes (path NOT NULL, place);
CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "facts" VALUES('asked to unload the model','yes');
INSERT INTO "facts" VALUES('boot','00000000-0000-0000-0000-000000000000');
INSERT INTO "facts" VALUES('engines','[{"state": "painting", "device": "cpu", "network": "vgg19", "weights": "original"}]');
INSERT INTO "facts" VALUES('first look {home}/inbox','3');
INSERT INTO "facts" VALUES('heartbeat','1795922570.6138885');
INSERT INTO "facts" VALUES('identity','d69821a46fab4721812f59fda7108068');
INSERT INTO "facts" VALUES('mount {home}/archive','/');
INSERT INTO "facts" VALUES('mount {home}/failed','/');
INSERT INTO "facts" VALUES('mount {home}/inbox','/');
INSERT INTO "facts" VALUES('mount {home}/outbox','/');
INSERT INTO "facts" VALUES('mounts in {home}/inbox','[]');
INSERT INTO "facts" VALUES('paused','yes');
INSERT INTO "facts" VALUES('pid','7376');
INSERT INTO "facts" VALUES('ready','7376');
INSERT INTO "facts" VALUES('styles {home}/styles','["/", "stripes.png"]');
INSERT INTO "facts" VALUES('version','0.1.0');
CREATE TABLE foreign_inboxes (path PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            key TEXT NOT NULL UNIQUE,
            photo TEXT NOT NULL,
            original NOT NULL,                 -- paths: text, or bytes where they are no UTF-8
            copy NOT NULL,
            photo_sha256 TEXT NOT NULL,
            inbox,
            outbox NOT NULL,
            origin TEXT NOT NULL,
            styles TEXT NOT NULL,              -- JSON
            recipe TEXT,                       -- JSON; NULL while held
            sidecar,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            created REAL NOT NULL,             -- seconds since 1970, as all times here
            started REAL,
            finished REAL,
            seconds REAL,
            result,
            result_name,                       -- `result` as a file system that folds case sees it
            error TEXT,
            cancel_requested INTEGER NOT NULL DEFAULT 0,
            not_before REAL NOT NULL DEFAULT 0,
            progress TEXT,                     -- JSON; of what runs, and the last of what is done
            was_done INTEGER NOT NULL DEFAULT 0,
            is_disposed INTEGER NOT NULL DEFAULT 0  -- the original is where it belongs
        , areas TEXT, place, reached REAL, best REAL NOT NULL DEFAULT 0, strikes INTEGER NOT NULL DEFAULT 0, breaks INTEGER NOT NULL DEFAULT 0);
INSERT INTO "jobs" VALUES(1,'unreadable:45019353a5bc324ccd08c3c1994344bb92a165e007292e77b6931ee0691be5a4:1795922472351290935:2154516:{home}/inbox/failed.jpg','failed.jpg','{home}/failed/failed.jpg','{home}/inbox/failed.jpg','45019353a5bc324ccd08c3c1994344bb92a165e007292e77b6931ee0691be5a4','{home}/inbox','{home}/outbox','inbox','[]',NULL,NULL,'failed',0,1.79592247457789134981e+09,NULL,1.79592247457789134981e+09,NULL,NULL,NULL,'failed.jpg is no picture that nst-daemon can read. Export it as JPEG, PNG, TIFF, WebP, AVIF, HEIC, GIF or BMP. (docs/errors.md#photo_refused)',0,0.0,NULL,0,1,NULL,'.',NULL,0.0,0,0);
INSERT INTO "jobs" VALUES(2,'held:6f5434afa26314cad84d390d3f3fc6755e1967e8771f72449013c4ff86beb398:{home}/inbox/held.png','held.png','{home}/inbox/held.png','{home}/state/photos/6f5434afa26314cad84d390d3f3fc6755e1967e8771f72449013c4ff86beb398.png','6f5434afa26314cad84d390d3f3fc6755e1967e8771f72449013c4ff86beb398','{home}/inbox','{home}/outbox','inbox','[]',NULL,'{home}/inbox/held.png.yaml','held',0,1.795922474649176836e+09,NULL,NULL,NULL,NULL,NULL,'No style named dots in the library (asked for by its sidecar). (docs/errors.md#photo_held)',0,0.0,NULL,0,0,NULL,'.',NULL,0.0,0,0);
INSERT INTO "jobs" VALUES(3,'8e414b1356a404a5b17b477a6e7834108f56c4423f54c8b9fd54c2739a5be6df','trip/done.png','{home}/archive/trip/done.png','{home}/state/photos/cec6726772c2e189c26c48bfbba6c04a262013f219926f443d09fac36f58f1fc.png','cec6726772c2e189c26c48bfbba6c04a262013f219926f443d09fac36f58f1fc','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 1.0, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'done',1,1.79592247469499826434e+09,1.79592247469841146461e+09,1.79592249831398773195e+09,1.263,'{home}/outbox/trip/done.stripes.png','{home}/outbox/trip/done.stripes.png',NULL,0,0.0,'{"scale": 1, "scales": 1, "width": 16, "height": 16, "step": 40, "steps": 40, "fraction": 1.0, "losses": {"total": 0.028303802013397217, "content": 0.0017783526564016938, "style": 0.018949517980217934, "tv": 0.0075759319588541985}, "seconds": 0.9780125600000247, "eta_seconds": 0.0}',1,1,NULL,'trip',2.0,0.0,0,0);
INSERT INTO "jobs" VALUES(4,'21a4bcedbdee3b013f4b04ff37f70e665ed80f99a70e7a2ffc20c99102c17854','killed.png','{home}/inbox/killed.png','{home}/state/photos/a7912bd2cb5d952e65c55b54002ca9335d33aa7bac9b09961f30030543f99f4e.png','a7912bd2cb5d952e65c55b54002ca9335d33aa7bac9b09961f30030543f99f4e','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 1.0, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'running',1,1.79592250300947928426e+09,1.79592254612313914291e+09,NULL,NULL,NULL,NULL,NULL,0,0.0,'{"scale": 1, "scales": 1, "width": 16, "height": 16, "step": 18, "steps": 40, "fraction": 0.45, "losses": {"total": 0.04905391484498978, "content": 0.002399658551439643, "style": 0.011417641304433346, "tv": 0.03523661568760872}, "seconds": 15.9714029270001, "eta_seconds": 19.520603577444568}',0,0,NULL,'.',0.45,0.0,0,0);
INSERT INTO "jobs" VALUES(5,'e8518f70418d1f28170c62a7e1d72471878ec9ba7c1d753ab79a9c71e704d34a','cancelled.png','{home}/inbox/cancelled.png','{home}/state/photos/5adecfc83b836961573f19286ffa14993b1ed956a9688de4b09b9f44a326c642.png','5adecfc83b836961573f19286ffa14993b1ed956a9688de4b09b9f44a326c642','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 1.0, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'cancelled',0,1.79592250609413552281e+09,NULL,1795922514.57514,NULL,NULL,NULL,'cancelled',0,0.0,NULL,0,0,NULL,'.',NULL,0.0,0,0);
INSERT INTO "jobs" VALUES(6,'1772a824a6e5a1a1c96aa7060d0ecf16d435879076b03a959153ccc540cd16f1','asked.png','{home}/inbox/asked.png','{home}/state/photos/4ff0151164cf63ddf5daa75fd55e0988e96915f5824da8feb0d38d099650be72.png','4ff0151164cf63ddf5daa75fd55e0988e96915f5824da8feb0d38d099650be72','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 1.0, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'running',1,1.79592250884899067879e+09,1.79592257127117156979e+09,NULL,NULL,NULL,NULL,'cancelled',1,0.0,NULL,0,0,NULL,'.',NULL,0.0,0,0);
INSERT INTO "jobs" VALUES(7,'61b4bb367a2a6b64c6aec498551f05c56b3bc2fcbdd28195c7d7b560c4b6fb6a','masked.png','{home}/inbox/masked.png','{home}/state/photos/b11b5ba882f88ff4d7faf80fa602b08ebfc82f21bae27de949a4e5a936106cc4.png','b11b5ba882f88ff4d7faf80fa602b08ebfc82f21bae27de949a4e5a936106cc4','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 0.8, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'queued',0,1.79592251165301656718e+09,NULL,NULL,NULL,NULL,NULL,NULL,0,0.0,NULL,0,0,'{"mask": {"name": "masked.mask.png", "path": "{home}/state/photos/54f5c0378e0f7cd49ebf71c6664ab71c4e5fc1b4c5fef6681786e7367b8452c1.png", "sha256": "54f5c0378e0f7cd49ebf71c6664ab71c4e5fc1b4c5fef6681786e7367b8452c1"}, "regions": []}','.',NULL,0.0,0,0);
INSERT INTO "jobs" VALUES(8,'c70086aa2b4d674562f36122a8ee2b307e0c6a20354e677477429216fceb71eb','waiting.png','{home}/inbox/waiting.png','{home}/state/photos/fd63cead067f47b749789cc325a174d2c1b3fef4bc9c336c1b1dbd84f4660bc1.png','fd63cead067f47b749789cc325a174d2c1b3fef4bc9c336c1b1dbd84f4660bc1','{home}/inbox','{home}/outbox','inbox','[{"name": "stripes", "path": "{home}/state/photos/9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69.png", "sha256": "9ecd5a3c04c6e9ff3b4b6295a9323f59854e589b932bd4f89e5218a1729bec69", "weight": 1.0}]','{"preset": "balanced", "size": 16, "strength": 1.0, "content_weight": 0.04, "face_weight": 6.0, "style_weight": 1.0, "tv_weight": 0.3, "content_layers": ["relu4_2"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"], "style_loss": "wasserstein", "style_scale": 1.0, "optimizer": "adam", "learning_rate": 0.02, "steps": 40, "averaging": 0.95, "pyramid": 0, "init": "content", "start_colors": "style", "preserve_color": "off", "pooling": "max", "seed": 0, "format": "same", "quality": 90, "strip_gps": false, "report": false}',NULL,'queued',0,1.79592251418279862402e+09,NULL,NULL,NULL,NULL,NULL,NULL,0,0.0,NULL,0,0,NULL,'.',NULL,0.0,0,0);
CREATE TABLE problems (
            source TEXT NOT NULL, position INTEGER NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL, remedy TEXT NOT NULL,
            PRIMARY KEY (source, position)
        ) WITHOUT ROWID
        ;
CREATE TABLE seen (
            path PRIMARY KEY NOT NULL,
            root NOT NULL,
            size INTEGER NOT NULL,
            mtime_ns INTEGER NOT NULL,
            inode TEXT NOT NULL,               -- text: Windows has 128 bits of it
            verdict TEXT NOT NULL,
            photo_sha256 TEXT NOT NULL,
            keywords TEXT NOT NULL,            -- JSON
            sidecar TEXT NOT NULL              -- fingerprint of the sidecar that was paired
        ) WITHOUT ROWID
        ;
INSERT INTO "seen" VALUES('{home}/inbox/asked.png','{home}/inbox',379,1795922507136851556,'2154524','job','4ff0151164cf63ddf5daa75fd55e0988e96915f5824da8feb0d38d099650be72','[]','');
INSERT INTO "seen" VALUES('{home}/inbox/cancelled.png','{home}/inbox',366,1795922503980679387,'2154534','job','5adecfc83b836961573f19286ffa14993b1ed956a9688de4b09b9f44a326c642','[]','');
INSERT INTO "seen" VALUES('{home}/inbox/held.png','{home}/inbox',285,1795922472351524491,'2154517','job','6f5434afa26314cad84d390d3f3fc6755e1967e8771f72449013c4ff86beb398','[]','''held.png.yaml'':12:1795922472351575657:2154518');
INSERT INTO "seen" VALUES('{home}/inbox/killed.png','{home}/inbox',344,1795922500811486447,'2154523','job','a7912bd2cb5d952e65c55b54002ca9335d33aa7bac9b09961f30030543f99f4e','[]','');
INSERT INTO "seen" VALUES('{home}/inbox/masked.png','{home}/inbox',396,1795922509268356974,'2154547','job','b11b5ba882f88ff4d7faf80fa602b08ebfc82f21bae27de949a4e5a936106cc4','[]','''masked.mask.png'':177:1795922503980422977:2154521');
INSERT INTO "seen" VALUES('{home}/inbox/waiting.png','{home}/inbox',418,1795922512439190599,'2154549','job','fd63cead067f47b749789cc325a174d2c1b3fef4bc9c336c1b1dbd84f4660bc1','[]','');
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE INDEX jobs_by_original ON jobs (original);
CREATE UNIQUE INDEX jobs_by_result ON jobs (result_name) WHERE result_name IS NOT NULL;
CREATE INDEX seen_by_root ON seen (root);
CREATE INDEX jobs_undisposed ON jobs (state, id) WHERE is_disposed = 0;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',8);
COMMIT;
PRAGMA user_version = 4;
