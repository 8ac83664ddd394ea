"""Records of public training data, in miniature copies of their released layouts."""

LLAVA_PRETRAIN = [
    {
        "id": "004539375",
        "image": "00453/004539375.jpg",
        "conversations": [
            {"from": "human", "value": "Render a clear and concise summary of the photo.\n<image>"},
            {"from": "gpt", "value": "select luxury furniture 3 - inch gel memory foam mattress topper"},
        ],
    },
    {
        "id": "002239345",
        "image": "00223/002239345.jpg",
        "conversations": [
            {"from": "human", "value": "<image>\nWrite a terse but informative summary of the picture."},
            {"from": "gpt", "value": "a grey watch with an army style strap"},
        ],
    },
]
LLAVA_VIDEO = [
    {
        "id": "sutd-000",
        "data_source": "0_30_s_academic_v0_1",
        "video": "academic_source/sutd/b1.mp4",
        "conversations": [
            {
                "from": "human",
                "value": "<image>\nWhich car turns?\nA. red.\nB. blue.\nGive the letter.",
            },
            {"from": "gpt", "value": "B."},
            {"from": "human", "value": "What happens then?"},
            {"from": "gpt", "value": "It stops."},
        ],
    }
]
SHAREGPT4VIDEO = [
    {
        "video_id": "j5JqNXjGufw",
        "video_path": "panda/j5JqNXjGufw.mp4",
        "timestamp": [0, 2, 4],
        "keyframe": [0, 60, 120],
        "captions": [
            {"idx": "0", "content": "A man stands at a table."},
            {"idx": "1", "content": "He picks up a cup."},
            {"idx": "-1", "content": " A man stands at a table, then picks up a cup.\n"},
        ],
    },
    {"video_id": "x", "video_path": "x.mp4", "captions": [{"idx": "0", "content": "A part."}]},
]
QVHIGHLIGHTS = [
    {
        "qid": 8737,
        "query": "A family is playing basketball together on a green court outside.",
        "duration": 126,
        "vid": "bP5KfdFJzC4_660.0_810.0",
        "relevant_windows": [[0, 16], [40.5, 44]],
        "relevant_clip_ids": [0, 1],
        "saliency_scores": [[4, 1, 1], [4, 1, 1]],
    }
]
