; nst-daemon plug-in @VERSION@
;
; Filters > Artistic > Paint in a style..., Fetch paintings, Cancel paintings: for GIMP 2.10.
;
; It touches files in the exchange folder and nothing else. It never waits for a painting: one interpreter runs
; all of GIMP's Script-Fu, and Cancel on a progress bar ends that interpreter with every entry of it (seen in
; 2.10.34). So an order goes out by one entry, and its painting is fetched by another. The images remember their
; orders in parasites, which an XCF file keeps.

(define nst-exchange "@EXCHANGE@")
(define nst-in (string-append nst-exchange "/in/gimp/"))
(define nst-out (string-append nst-exchange "/out/gimp/"))
(define nst-orders "nst-daemon-order-")  ; how the parasites of orders begin; the rest is the order's id
(define nst-mark "-gimp2-")  ; in every id of ours: an order of GIMP 3 is not ours to fetch
(define nst-memory "nst-daemon-paint")  ; the parasite of GIMP that has the last choice
(define nst-answer-tenths 30)  ; a daemon that runs has answered after 3 s
(define nst-cancel-tenths 25)  ; and has ended a job
(define nst-not-running "nst-daemon is not running: start it with \"nst-daemon start\".")

; -- text ---------------------------------------------------------------------------------------------------

(define (nst-starts? text start)
  (and (>= (string-length text) (string-length start))
       (string=? (substring text 0 (string-length start)) start)))

(define (nst-ends? text end)
  (let ((more (- (string-length text) (string-length end))))
    (and (>= more 0) (string=? (substring text more (string-length text)) end))))

(define (nst-has? text part)
  (let ((last (- (string-length text) (string-length part))))
    (let loop ((at 0))
      (and (<= at last)
           (or (string=? (substring text at (+ at (string-length part))) part)
               (loop (+ at 1)))))))

; Split a text at the first of these characters: (before . after), or (text . #f).
(define (nst-cut text character)
  (let loop ((at 0))
    (cond ((= at (string-length text)) (cons text #f))
          ((char=? (string-ref text at) character)
           (cons (substring text 0 at) (substring text (+ at 1) (string-length text))))
          (else (loop (+ at 1))))))

(define (nst-fields text)
  (let ((cut (nst-cut text #\tab)))
    (cons (car cut) (if (cdr cut) (nst-fields (cdr cut)) '()))))

(define (nst-joined texts between)
  (cond ((null? texts) "")
        ((null? (cdr texts)) (car texts))
        (else (string-append (car texts) between (nst-joined (cdr texts) between)))))

(define (nst-kept wanted? all)
  (cond ((null? all) '())
        ((wanted? (car all)) (cons (car all) (nst-kept wanted? (cdr all))))
        (else (nst-kept wanted? (cdr all)))))

; The same list with one member first, where it is in it: SF-OPTION begins with the first.
(define (nst-first member? all)
  (append (nst-kept member? all) (nst-kept (lambda (one) (not (member? one))) all)))

(define (nst-two-digits number)
  (string-append (if (< number 10) "0" "") (number->string number)))

; A whole number in words of our own: number->string writes 1024 as 1024.0 where a slider gave it.
(define (nst-whole number)
  (number->string (inexact->exact (round number))))

(define (nst-escaped character)
  (let ((code (char->integer character)) (digits "0123456789abcdef"))
    (cond ((char=? character #\") "\\\"")
          ((char=? character #\\) "\\\\")
          ((or (< code 32) (= code 127))
           (string-append "\\x" (string (string-ref digits (quotient code 16)))
                          (string (string-ref digits (modulo code 16)))))
          (else (string character)))))

; A text as YAML takes it, between double quotes.
(define (nst-quoted text)
  (string-append "\"" (apply string-append (map nst-escaped (string->list text))) "\""))

; -- files --------------------------------------------------------------------------------------------------

; The lines of a file; none if it is not there.
(define (nst-lines path)
  (let ((port (and (file-exists? path) (open-input-file path))))
    (if (not port)
      '()
      (let loop ((lines '()) (line '()))
        (let ((character (read-char port)))
          (cond ((eof-object? character)
                 (close-input-port port)
                 (reverse (if (null? line) lines (cons (list->string (reverse line)) lines))))
                ((char=? character #\newline) (loop (cons (list->string (reverse line)) lines) '()))
                ((char=? character #\return) (loop lines line))
                (else (loop lines (cons character line)))))))))

; Write a file; #f if that cannot be.
(define (nst-write path text)
  (let ((port (open-output-file path)))
    (and port
         (begin (display text port) (close-output-port port) #t))))

(define (nst-names folder)
  (let ((stream (and (file-exists? folder) (dir-open-stream folder))))
    (if (not stream)
      '()
      (let loop ((names '()))
        (let ((name (dir-read-entry stream)))
          (if (eof-object? name)
            (begin (dir-close-stream stream) names)
            (loop (cons name names))))))))

(define (nst-remove path)
  (if (file-exists? path) (file-delete path)))

(define (nst-photo id)
  (string-append nst-in id ".tif"))

; Where the selection of an order waits to become a layer's mask: it is swept when its painting is.
(define (nst-kept-selection id)
  (string-append nst-out id ".selection.png"))

; Remove all that belongs to an order. The status goes last: it says what became of it.
(define (nst-tidy id result)
  (if (and result (nst-has? result (string-append "/" id "."))) (nst-remove result))
  (for-each (lambda (ending) (nst-remove (string-append (nst-photo id) ending)))
            '(".yaml" "" ".mask.png" ".cancel" ".status"))
  (nst-remove (nst-kept-selection id)))

; What the daemon says of an order: ((key . value) ...), empty as long as it has said nothing.
(define (nst-status id)
  (map (lambda (line) (nst-cut line #\=)) (nst-lines (string-append (nst-photo id) ".status"))))

(define (nst-of status key)
  (let ((found (assoc key status)))
    (and found (cdr found) (> (string-length (cdr found)) 0) (cdr found))))

(define (nst-in-state? status . states)
  (and (member (nst-of status "state") states) #t))

; The path of a result that may be opened, or #f: relative, inside our outbox, a picture by its name.
(define (nst-result status)
  (let ((result (nst-of status "result")))
    (and result
         (nst-starts? result "out/gimp/")
         (not (nst-has? result ".."))
         (not (nst-has? result "\\"))
         (pair? (nst-kept (lambda (ending) (nst-ends? result ending)) '(".tif" ".tiff" ".png" ".jpg")))
         (string-append nst-exchange "/" result))))

; -- what the user has chosen ---------------------------------------------------------------------------------

(define (nst-style-names)
  (nst-kept (lambda (name) (> (string-length name) 0))
            (map (lambda (line) (car (nst-fields line)))
                 (nst-lines (string-append nst-exchange "/styles.txt")))))

; The last choice: style, size, px, strength, colours, selection; empty at the first time.
(define (nst-remembered)
  (let ((found (catch '() (gimp-get-parasite nst-memory))))
    (if (and (pair? found) (pair? (car found)))
      (nst-fields (caddar found))
      '())))

(define nst-choice
  (let ((last (nst-remembered)))
    (if (= (length last) 6) last '("" "configured" "1024" "100" "0" "layer-mask"))))

(define (nst-chosen at otherwise)
  (or (string->number (list-ref nst-choice at)) otherwise))

(define nst-styles
  (nst-first (lambda (name) (string=? name (car nst-choice))) (nst-style-names)))

(define nst-sizes
  (nst-first (lambda (size) (string=? (car size) (list-ref nst-choice 1)))
             '(("configured" . "as in config.yaml")
               ("original" . "as the image")
               ("px" . "as below"))))

(define nst-selections
  (nst-first (lambda (selection) (string=? (car selection) (list-ref nst-choice 5)))
             '(("layer-mask" . "becomes the mask of the new layer")
               ("mask" . "is painted, and the rest stays photo")
               ("ignored" . "is ignored"))))

; What people call an image: the name of its file, if it has one.
(define (nst-title image)
  (let ((path (catch "" (car (gimp-image-get-filename image)))))
    (if (string=? path "")
      (car (gimp-image-get-name image))
      (let loop ((name path))
        (let ((more (cdr (nst-cut name (string-ref DIR-SEPARATOR 0)))))
          (if more (loop more) name))))))

; -- the order ------------------------------------------------------------------------------------------------

(define (nst-id)
  (let* ((now (time))
         (letters "abcdefghijklmnopqrstuvwxyz")
         (id (let loop ((number (cadr (gettimeofday))) (count 5) (text ""))
               (if (= count 0)
                 (string-append
                   (number->string (+ 1900 (car now))) (nst-two-digits (+ 1 (cadr now)))
                   (nst-two-digits (caddr now)) "-" (apply string-append (map nst-two-digits (cdddr now)))
                   nst-mark text)
                 (loop (quotient number 26) (- count 1)
                       (string-append text (string (string-ref letters (modulo number 26)))))))))
    (if (file-exists? (nst-photo id)) (nst-id) id)))

(define (nst-save image drawable path)
  (file-tiff-save RUN-NONINTERACTIVE image drawable path path 0))

; Write a flat duplicate of what is visible, with its transparency, its profile and its 8 or 16 bits.
(define (nst-write-photo image path)
  (let ((flat (car (gimp-image-duplicate image))))
    (gimp-image-undo-disable flat)
    (gimp-selection-none flat)
    (if (<> (car (gimp-image-get-floating-sel flat)) -1)
      (gimp-floating-sel-anchor (car (gimp-image-get-floating-sel flat))))
    (let ((layer (car (gimp-image-merge-visible-layers flat CLIP-TO-IMAGE))))
      (gimp-layer-resize-to-image-size layer)
      (if (<> (car (gimp-image-base-type flat)) RGB) (gimp-image-convert-rgb flat))
      ; By number, since the names are unbound: 100 is 8 bits linear, 150 as displays have it; 200 and 250 the
      ; same with 16 bits, and above are 32 bits and floats.
      (let* ((precision (car (gimp-image-get-precision flat))) (wanted (if (< precision 200) 150 250)))
        (if (<> precision wanted) (gimp-image-convert-precision flat wanted)))
      (nst-save flat (car (gimp-image-get-active-layer flat)) path)
      (gimp-image-delete flat))))

; Write the selection in a picture of its own: as the alpha of a white layer, which a layer's mask can be made
; from without loss, or as white on black, which the daemon's mask is.
(define (nst-write-selection image path is-alpha)
  (let* ((flat (car (gimp-image-duplicate image)))
         (width (car (gimp-image-width flat)))
         (height (car (gimp-image-height flat)))
         (channel (car (gimp-selection-save flat))))
    (gimp-image-undo-disable flat)
    (gimp-selection-none flat)
    (for-each (lambda (layer) (gimp-image-remove-layer flat layer))
              (vector->list (cadr (gimp-image-get-layers flat))))
    (if (<> (car (gimp-image-base-type flat)) GRAY) (gimp-image-convert-grayscale flat))
    (if (<> (car (gimp-image-get-precision flat)) 150) (gimp-image-convert-precision flat 150))
    (let ((layer (car (gimp-layer-new flat width height (if is-alpha GRAYA-IMAGE GRAY-IMAGE) "selection" 100
                                      LAYER-MODE-NORMAL-LEGACY))))
      (gimp-image-insert-layer flat layer 0 0)
      (gimp-context-push)
      (gimp-context-set-defaults)
      (gimp-context-set-foreground '(0 0 0))
      (gimp-context-set-background '(255 255 255))
      (gimp-drawable-fill layer (if is-alpha FILL-TRANSPARENT FILL-FOREGROUND))
      (gimp-image-select-item flat CHANNEL-OP-REPLACE channel)
      ; Half selected is to become a grey of 128: without this, light would be mixed.
      (gimp-context-set-paint-mode LAYER-MODE-NORMAL-LEGACY)
      (gimp-drawable-edit-fill layer FILL-BACKGROUND)
      (gimp-context-pop)
      (gimp-selection-none flat)
      (file-png-save RUN-NONINTERACTIVE flat layer path path 0 1 0 0 0 0 0)
      (gimp-image-delete flat))))

(define (nst-sidecar style size px strength keep mask title)
  (string-append
    "style: " (nst-quoted style) "\n"
    "set: {"
    (cond ((string=? size "original") "size: original, ")
          ((string=? size "px") (string-append "size: " (nst-whole px) ", "))
          (else ""))
    "strength: " (if (>= strength 100) "1" (string-append "0." (nst-two-digits (inexact->exact (round strength)))))
    ", preserve_color: " (if (= keep TRUE) "luminance" "off") "}\n"
    (if mask (string-append "mask: " (nst-quoted mask) "\n") "")
    "title: " (nst-quoted title) "\n"
    "whole: true\n"))

; Make the folders that orders go to; #f if they cannot be made.
(define (nst-has-room?)
  (if (not (file-exists? nst-exchange))
    #f
    (begin
      (for-each (lambda (folder)
                  (let ((path (string-append nst-exchange folder)))
                    (if (not (file-exists? path)) (dir-make path 448))))  ; 0700
                '("/in" "/in/gimp" "/out" "/out/gimp"))
      (and (file-exists? (string-append nst-exchange "/in/gimp"))
           (file-exists? (string-append nst-exchange "/out/gimp"))))))

; Return what the daemon has said of an order by the end of that time, or the last before it.
(define (nst-wait id tenths enough?)
  (let loop ((left tenths))
    (let ((status (nst-status id)))
      (if (or (= left 0) (enough? status))
        status
        (begin (usleep 100000) (loop (- left 1)))))))

(define (nst-daemon-paint image drawable style-at size-at px strength keep selection-at)
  (cond ((not (nst-has-room?))
         (gimp-message (string-append "There is no folder \"" nst-exchange
                                      "\": run \"nst-daemon editors install gimp\".")))
        ((null? nst-styles)
         (gimp-message (string-append "No styles are known yet. Start nst-daemon with \"nst-daemon start\", "
                                      "then choose Filters > Script-Fu > Refresh Scripts.")))
        (else
         (nst-order image (list-ref nst-styles style-at) (car (list-ref nst-sizes size-at)) px strength keep
                    (car (list-ref nst-selections selection-at))))))

(define (nst-order image style size px strength keep selection)
  (let* ((id (nst-id))
         (photo (nst-photo id))
         (title (nst-title image))
         (selected (if (= (car (gimp-selection-is-empty image)) TRUE) "ignored" selection))
         (mask (and (string=? selected "mask") (string-append id ".tif.mask.png"))))
    (gimp-attach-parasite
      (list nst-memory 1
            (nst-joined (list style size (nst-whole px) (nst-whole strength) (nst-whole keep) selection) "\t")))
    (nst-write-photo image photo)
    (if mask (nst-write-selection image (string-append nst-in mask) #f))
    (if (string=? selected "layer-mask")
      (nst-write-selection image (nst-kept-selection id) #t))
    (gimp-image-attach-parasite
      image
      (list (string-append nst-orders id) 1
            (nst-joined (list style (nst-whole (car (gimp-image-width image)))
                              (nst-whole (car (gimp-image-height image)))) "\t")))
    (if (nst-write (string-append photo ".yaml")
                   (nst-sidecar style size px strength keep mask title))
      (nst-acknowledge id style title)
      (gimp-message (string-append "Could not write to \"" nst-in "\".")))))

; Say what became of a new order within its first three seconds.
(define (nst-acknowledge id style title)
  (let ((status (nst-wait id nst-answer-tenths pair?)))
    (gimp-message
      (cond ((null? status) (string-append nst-not-running " The picture waits, and will be painted."))
            ((nst-of status "error") (nst-in-words status style title))
            (else (string-append title " is being painted in " style ". Choose Filters > Artistic > "
                                 "Fetch paintings after a while, and it becomes a new layer."))))))

; -- what became of it ----------------------------------------------------------------------------------------

(define (nst-duration seconds)
  (cond ((< seconds 90) (string-append (nst-whole seconds) " s"))
        ((< seconds 5400) (string-append (nst-whole (/ seconds 60)) " min"))
        (else (string-append (nst-whole (/ seconds 3600)) " h"))))

(define (nst-in-words status style title)
  (let ((state (or (nst-of status "state") ""))
        (percent (nst-of status "percent"))
        (ahead (nst-of status "ahead"))
        (eta (string->number (or (nst-of status "eta") "none")))
        (error (nst-of status "error"))
        (remedy (nst-of status "remedy")))
    (string-append
      title " in " style ": "
      (if (string=? state "taken") "queued" state)
      (if (and percent (string=? state "running")) (string-append ", " percent " %") "")
      (if (and eta (string=? state "running")) (string-append ", " (nst-duration eta) " left") "")
      (if (and ahead (member state '("queued" "taken"))) (string-append ", " ahead " before it") "")
      "."
      (if error (string-append " " error) "")
      (if remedy (string-append " " remedy) ""))))

(define (nst-orders-of image)
  (map (lambda (name) (substring name (string-length nst-orders) (string-length name)))
       (nst-kept (lambda (name) (nst-starts? name nst-orders))
                 (cadr (gimp-image-get-parasite-list image)))))

; Style, width and height as they were when the order went out.
(define (nst-sent image id)
  (nst-fields (caddar (gimp-image-get-parasite image (string-append nst-orders id)))))

(define (nst-forget image id)
  (gimp-image-detach-parasite image (string-append nst-orders id)))

(define (nst-size-of width height)
  (string-append (nst-whole width) " × " (nst-whole height) " px"))

; Scale a layer to its image, and return a line that says so; none where it fits.
(define (nst-fit image layer style sent)
  (let ((width (car (gimp-image-width image)))
        (height (car (gimp-image-height image)))
        (was-width (car (gimp-drawable-width layer)))
        (was-height (car (gimp-drawable-height layer))))
    (if (and (= width was-width) (= height was-height))
      '()
      (begin
        (gimp-layer-scale layer width height FALSE)
        (list (string-append
                style " was painted at " (nst-size-of was-width was-height) " and is scaled to the image, "
                (nst-size-of width height)
                (if (and (= (length sent) 3)
                         (not (and (string=? (cadr sent) (nst-whole width))
                                   (string=? (caddr sent) (nst-whole height)))))
                  (string-append ", which had " (cadr sent) " × " (caddr sent) " px when it was sent.")
                  ".")))))))

; Put a layer above the active one, at 0,0.
(define (nst-insert image layer)
  (let* ((active (car (gimp-image-get-active-layer image)))
         (parent (if (= active -1) -1 (car (gimp-item-get-parent active)))))
    (gimp-image-insert-layer image layer (if (= parent -1) 0 parent)
                             (if (= active -1) 0 (car (gimp-image-get-item-position image active))))
    (gimp-layer-set-offsets layer 0 0)))

; Give a layer the mask that its order kept of the selection.
(define (nst-mask image layer path)
  (let ((selection (car (gimp-file-load-layer RUN-NONINTERACTIVE image path))))
    (gimp-image-insert-layer image selection 0 0)
    (gimp-layer-scale selection (car (gimp-drawable-width layer)) (car (gimp-drawable-height layer)) FALSE)
    (let ((mask (car (gimp-layer-create-mask selection ADD-MASK-ALPHA))))
      (gimp-image-remove-layer image selection)
      (gimp-layer-add-mask layer mask)
      (gimp-image-set-active-layer image layer)
      (gimp-layer-set-edit-mask layer FALSE))))

; Put a finished painting into its image, and return lines that say what is to say.
(define (nst-take image id status style sent)
  (let* ((path (nst-result status))
         (selection (nst-kept-selection id))
         (layer (and path (file-exists? path)
                     (catch #f (car (gimp-file-load-layer RUN-NONINTERACTIVE image path))))))
    (if (not layer)
      (list (string-append style ": its painting cannot be opened: \"" (or (nst-of status "result") "") "\"."))
      (let ((lines '()))
        (gimp-item-set-name layer style)
        (nst-insert image layer)
        (set! lines (nst-fit image layer style sent))
        (if (file-exists? selection) (nst-mask image layer selection))
        (nst-tidy id path)
        (nst-forget image id)
        lines))))

; Open a finished painting whose image is not open any more.
(define (nst-open id status style title)
  (let* ((path (nst-result status))
         (image (and path (file-exists? path)
                     (catch #f (car (gimp-file-load RUN-NONINTERACTIVE path path))))))
    (if (not image)
      (list (string-append title " in " style ": its painting cannot be opened."))
      (begin
        (gimp-item-set-name (car (gimp-image-get-active-layer image)) style)
        (catch #f (gimp-display-new image))  ; GIMP may run without a screen
        (nst-tidy id path)
        (list (string-append title " is not open any more: its painting in " style " is an image of its own."))))))

; Look after one order of an open image, and return lines.
(define (nst-fetch-one image id)
  (let* ((status (nst-status id))
         (sent (nst-sent image id))
         (style (car sent))
         (title (nst-title image)))
    (cond ((nst-in-state? status "done") (nst-take image id status style sent))
          ((nst-in-state? status "failed" "cancelled")
           (nst-tidy id #f)
           (nst-forget image id)
           (list (nst-in-words status style title)))
          ((pair? status) (list (nst-in-words status style title)))
          ((file-exists? (string-append (nst-photo id) ".yaml"))
           (list (string-append title " in " style " waits. " nst-not-running)))
          (else
           (nst-forget image id)
           (list (string-append title " in " style " is not there any more. Paint it anew."))))))

(define (nst-fetch-all image)
  (let ((ids (nst-orders-of image)))
    (cond ((null? ids) '())
          ((<> (car (gimp-image-get-floating-sel image)) -1)
           (list (string-append (nst-title image)
                                ": anchor the floating selection, then fetch again.")))
          (else
           ; An empty group would mark the image as changed.
           (let ((is-changing (pair? (nst-kept (lambda (id) (nst-in-state? (nst-status id) "done")) ids))))
             (if is-changing (gimp-image-undo-group-start image))
             (let ((lines (apply append (map (lambda (id) (nst-fetch-one image id)) ids))))
               (if is-changing (gimp-image-undo-group-end image))
               lines))))))

; Look after an order whose image is not open, and return lines.
(define (nst-fetch-stray id)
  (let* ((status (nst-status id))
         (sidecar (map (lambda (line) (nst-cut line #\:)) (nst-lines (string-append (nst-photo id) ".yaml"))))
         (word (lambda (key)
                 (let ((found (assoc key sidecar)))
                   (if (and found (cdr found) (> (string-length (cdr found)) 3))
                     (substring (cdr found) 2 (- (string-length (cdr found)) 1))
                     "?"))))
         (style (word "style"))
         (title (word "title")))
    (cond ((nst-in-state? status "done") (nst-open id status style title))
          ((nst-in-state? status "failed" "cancelled")
           (nst-tidy id #f)
           (list (nst-in-words status style title)))
          ((pair? status) (list (nst-in-words status style title)))
          (else (list (string-append title " in " style " waits. " nst-not-running))))))

; The ids of orders that no open image remembers.
(define (nst-strays known)
  (nst-kept (lambda (id) (and (nst-has? id nst-mark) (not (member id known))))
            (map (lambda (name) (substring name 0 (- (string-length name) (string-length ".tif.yaml"))))
                 (nst-kept (lambda (name) (nst-ends? name ".tif.yaml")) (nst-names nst-in)))))

(define (nst-daemon-fetch)
  (let* ((images (vector->list (cadr (gimp-image-list))))
         (known (apply append (map nst-orders-of images)))
         (strays (nst-strays known))
         (lines (append (apply append (map nst-fetch-all images))
                        (apply append (map nst-fetch-stray strays)))))
    (gimp-displays-flush)
    (cond ((pair? lines) (gimp-message (nst-joined lines "\n")))
          ((and (null? known) (null? strays))
           (gimp-message "Nothing is being painted. Choose Filters > Artistic > Paint in a style first.")))))

; -- cancel ---------------------------------------------------------------------------------------------------

(define (nst-cancel-one image id)
  (let* ((style (car (nst-sent image id)))
         (ended? (lambda (status) (nst-in-state? status "done" "failed" "cancelled")))
         (was (nst-status id)))
    (cond ((nst-in-state? was "done")
           (string-append style " is done already: fetch it, and undo that if you do not want it."))
          (else
           (nst-write (string-append (nst-photo id) ".cancel") "")
           (let ((status (if (null? was) was (nst-wait id nst-cancel-tenths ended?))))
             (if (or (null? status) (ended? status)) (nst-tidy id (nst-result status))))
           (nst-forget image id)
           (string-append style " is cancelled.")))))

(define (nst-daemon-cancel image drawable)
  (let ((ids (nst-orders-of image)))
    (gimp-message
      (if (null? ids)
        (string-append "Nothing of " (nst-title image) " is being painted.")
        (nst-joined (map (lambda (id) (nst-cancel-one image id)) ids) "\n")))))

; -- the menu -------------------------------------------------------------------------------------------------

(script-fu-register
  "nst-daemon-paint"
  "Paint in a style..."
  "Has nst-daemon paint the image in the style of a picture. Fetch paintings makes a layer of it."
  "nst-daemon" "nst-daemon" "@VERSION@"
  "RGB*, GRAY*"
  SF-IMAGE "Image" 0
  SF-DRAWABLE "Drawable" 0
  SF-OPTION "_Style" (if (null? nst-styles) '("none yet: start nst-daemon") nst-styles)
  SF-OPTION "Si_ze" (map cdr nst-sizes)
  SF-ADJUSTMENT "Longer side in _px" (list (nst-chosen 2 1024) 64 16384 16 256 0 SF-SPINNER)
  SF-ADJUSTMENT "S_trength in %" (list (nst-chosen 3 100) 0 100 1 10 0 SF-SLIDER)
  SF-TOGGLE "_Keep the photo's colours" (if (= (nst-chosen 4 0) 1) TRUE FALSE)
  SF-OPTION "What is s_elected" (map cdr nst-selections))
(script-fu-menu-register "nst-daemon-paint" "<Image>/Filters/Artistic")

(script-fu-register
  "nst-daemon-fetch"
  "Fetch paintings"
  "Makes layers of the paintings that are done, and says how far the others are."
  "nst-daemon" "nst-daemon" "@VERSION@"
  "")
(script-fu-menu-register "nst-daemon-fetch" "<Image>/Filters/Artistic")

(script-fu-register
  "nst-daemon-cancel"
  "Cancel paintings"
  "Stops what is being painted of this image."
  "nst-daemon" "nst-daemon" "@VERSION@"
  "RGB*, GRAY*"
  SF-IMAGE "Image" 0
  SF-DRAWABLE "Drawable" 0)
(script-fu-menu-register "nst-daemon-cancel" "<Image>/Filters/Artistic")
